//! Traffic as a case writes it: who, how, and where to.
//!
//! `outside tcp 203.0.113.1:8080`, `node udp [fd01::2]:53`, `c ping 10.1.0.1`. `from 4000` behind it binds the client's
//! port: what comes by it is one flow. A `!` at the end says that no answer is expected, and none is waited for long.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::Netns;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one is waited for that is not expected.
const SHORT: Duration = Duration::from_millis(200);

/// What came of a probe: `<server> sees <address of the client>`, `refused`, `silence`, `answered` or `unreachable`.
pub fn probe(netns: &Netns, line: &str) -> String {
    let (line, patience) = line.strip_suffix(" !").map_or((line, PATIENCE), |line| (line, SHORT));
    let words: Vec<&str> = line.split_whitespace().collect();
    let (protocol, to, from) = match words[..] {
        [_, protocol, to] => (protocol, to, 0),
        [_, protocol, to, "from", port] => (protocol, to, port.parse().expect("a port")),
        _ => panic!("{line:?} is not like \"outside tcp 203.0.113.1:8080\""),
    };
    let socket = || to.parse::<SocketAddr>().unwrap_or_else(|error| panic!("{line:?}: {error}"));
    match protocol {
        "tcp" => tcp(netns, socket(), patience),
        "udp" => udp(netns, socket(), from, patience),
        "ping" => {
            let command = format!("ping -n -q -c 1 -W {} {to}", patience.as_secs_f64());
            if netns.try_sh(&command).status.success() { "answered".to_owned() } else { "silence".to_owned() }
        }
        _ => panic!("{line:?}: not tcp, udp or ping"),
    }
}

fn tcp(netns: &Netns, to: SocketAddr, patience: Duration) -> String {
    let stream = match netns.run(|| TcpStream::connect_timeout(&to, patience)) {
        Ok(stream) => stream,
        Err(error) => return why(&error),
    };
    stream.set_read_timeout(Some(patience)).expect("set a timeout");
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(_) => seen(&line),
        Err(error) => why(&error),
    }
}

fn udp(netns: &Netns, to: SocketAddr, from: u16, patience: Duration) -> String {
    let any = if to.is_ipv6() { "[::]" } else { "0.0.0.0" };
    let socket = netns.run(|| UdpSocket::bind(format!("{any}:{from}"))).expect("a socket");
    socket.set_read_timeout(Some(patience)).expect("set a timeout");
    let mut buffer = [0; 256];
    let sent = socket.connect(to).and_then(|()| socket.send(b"who am I"));
    let mut answer = sent.and_then(|_| socket.recv(&mut buffer));
    while answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
        answer = socket.recv(&mut buffer);
    }
    match answer {
        Ok(length) => seen(&String::from_utf8_lossy(&buffer[..length])),
        Err(error) => why(&error),
    }
}

/// What a server says: its name, and whom it saw.
fn seen(line: &str) -> String {
    line.trim()
        .split_once(' ')
        .map_or_else(|| "hung up".to_owned(), |(name, peer)| format!("{name} sees {peer}"))
}

fn why(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => "refused".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "silence".to_owned(),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "unreachable".to_owned(),
        other => other.to_string(),
    }
}
