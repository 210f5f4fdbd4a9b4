//! Traffic: servers that answer with the peer's address, clients, and a meter.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{Shutdown, shutdown};

use crate::Netns;

/// How long a client waits. What is dropped costs a test this long.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A server that answers each TCP connection, or each UDP datagram, with `<name> <address of the peer>`.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    listener: Option<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a TCP address inside the namespace.
    pub fn tcp(netns: &Netns, name: &str, address: &str) -> Self {
        let listener = netns.run(|| TcpListener::bind(address)).unwrap_or_else(|e| panic!("{address}: {e}"));
        let (own, name) = (listener.try_clone().expect("a second handle"), name.to_owned());
        let thread = thread::spawn(move || {
            while let Ok((mut stream, peer)) = own.accept() {
                // The client may be gone already; that is its test's matter.
                let _ = writeln!(stream, "{name} {}", peer.ip().to_canonical());
            }
        });
        Self { stop: Arc::default(), listener: Some(listener), thread: Some(thread) }
    }

    /// Listens on a UDP address inside the namespace.
    pub fn udp(netns: &Netns, name: &str, address: &str) -> Self {
        let socket = netns.run(|| UdpSocket::bind(address)).unwrap_or_else(|e| panic!("{address}: {e}"));
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("set a timeout");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (Arc::clone(&stop), name.to_owned());
        let thread = thread::spawn(move || {
            let mut buffer = [0; 64];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(format!("{name} {}\n", peer.ip().to_canonical()).as_bytes(), peer);
                }
            }
        });
        Self { stop, listener: None, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(listener) = &self.listener {
            let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a server said: its name, and the address that it saw.
pub type Answer = Option<(String, IpAddr)>;

/// Connects from inside the namespace and reads the answer; none if there is no connection.
pub fn tcp(from: &Netns, to: SocketAddr) -> Answer {
    let stream = from.run(|| TcpStream::connect_timeout(&to, PATIENCE)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    parse(&line)
}

/// Sends a datagram from inside the namespace and reads the answer; none if there is none.
pub fn udp(from: &Netns, to: SocketAddr) -> Answer {
    udp_by(&udp_client(from, to.is_ipv6()), to)
}

/// A socket inside the namespace for several datagrams of one flow.
pub fn udp_client(from: &Netns, v6: bool) -> UdpSocket {
    let any = if v6 { "[::]:0" } else { "0.0.0.0:0" };
    let socket = from.run(|| UdpSocket::bind(any)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    socket
}

/// Sends a datagram by the socket and reads the answer; none if there is none.
pub fn udp_by(socket: &UdpSocket, to: SocketAddr) -> Answer {
    socket.send_to(b"who am I", to).ok()?;
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).ok()?;
    parse(&String::from_utf8_lossy(&buffer[..length]))
}

/// A socket address from its parts.
pub fn at(address: &(impl ToString + ?Sized), port: u16) -> SocketAddr {
    let address: IpAddr = address.to_string().parse().expect("an address");
    SocketAddr::new(address, port)
}

fn parse(line: &str) -> Answer {
    let (name, address) = line.trim().split_once(' ')?;
    Some((name.to_owned(), address.parse().ok()?))
}

/// The rate in bit/s at which TCP payload comes from one namespace to the other for `time`, after a start that fills
/// buffers and empties token buckets.
pub fn rate(from: &Netns, to: &Netns, server: SocketAddr, time: Duration) -> f64 {
    const START: Duration = Duration::from_millis(250);
    let listener = to.run(|| TcpListener::bind(server)).expect("listen");
    let end = Instant::now() + START + time;
    let client = from.run(|| TcpStream::connect_timeout(&server, PATIENCE)).expect("connect");
    client.set_write_timeout(Some(Duration::from_millis(50))).expect("set a timeout");
    let sender = thread::spawn(move || {
        let block = [0; 16 * 1024];
        while Instant::now() < end {
            match (&client).write(&block) {
                Ok(_) => {}
                // The receiver has seen enough.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    break;
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => panic!("send: {error}"),
            }
        }
    });
    let (mut stream, _) = listener.accept().expect("accept");
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("set a timeout");
    let mut buffer = vec![0; 256 * 1024];
    let (mut bytes, mut begin) = (0, None);
    let first = Instant::now();
    while Instant::now() < end {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) if first.elapsed() >= START => {
                // Counting starts at the first arrival after the start, whose bytes came before.
                if begin.is_some() {
                    bytes += read;
                } else {
                    begin = Some(Instant::now());
                }
            }
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(error) => panic!("receive: {error}"),
        }
    }
    let seconds = begin.expect("bytes arrive").elapsed().as_secs_f64();
    sender.join().expect("the sender");
    #[allow(clippy::cast_precision_loss, reason = "a rate is not exact")]
    let bits = (bytes * 8) as f64;
    bits / seconds
}

/// The rate in bit/s at which TCP payload comes from one namespace to the other for `time`, after as many bytes: a token
/// bucket that holds them is empty then.
pub fn rate_after(from: &Netns, to: &Netns, server: SocketAddr, bytes: usize, time: Duration) -> f64 {
    let listener = to.run(|| TcpListener::bind(server)).expect("listen");
    let mut client = from.run(|| TcpStream::connect_timeout(&server, PATIENCE)).expect("connect");
    let sender = thread::spawn(move || {
        let block = vec![0; 256 * 1024];
        // Until the receiver has seen enough.
        while client.write_all(&block).is_ok() {}
    });
    let (mut stream, _) = listener.accept().expect("accept");
    let mut buffer = vec![0; 1024 * 1024];
    let mut read = |counted: &mut usize| *counted += stream.read(&mut buffer).expect("receive");
    let mut skipped = 0;
    while skipped < bytes {
        read(&mut skipped);
    }
    let (begin, mut counted) = (Instant::now(), 0);
    while begin.elapsed() < time {
        read(&mut counted);
    }
    let seconds = begin.elapsed().as_secs_f64();
    drop((stream, listener));
    sender.join().expect("the sender");
    #[allow(clippy::cast_precision_loss, reason = "a rate is not exact")]
    let bits = (counted * 8) as f64;
    bits / seconds
}
