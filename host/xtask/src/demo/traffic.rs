//! Traffic with the standard library alone: a one-page HTTP server, its client, and a measured TCP stream.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::netns::Netns;

const PATIENCE: Duration = Duration::from_secs(5);
/// Not counted: the token bucket is full at first and TCP has to find its pace.
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_millis(1500);

/// One answered request: what the client read and whom the server saw.
pub(crate) struct Exchange {
    pub(crate) status: String,
    pub(crate) body: String,
    pub(crate) client: IpAddr,
}

/// Serves one page on `port` of all addresses in `server`, and fetches it from `target` in `client`.
pub(crate) fn http(
    server: &Netns,
    port: u16,
    client: &Netns,
    target: SocketAddr,
    name: &str,
) -> Result<Exchange> {
    let listener = listen(server, port)?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&listener, name));
        let answer = client.run(|| fetch(target));
        // The server is waiting in accept if the client never came through.
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                release(server, port);
                return Err(error);
            }
        };
        let client = serving.join().map_err(|_| anyhow!("the HTTP server panicked"))??;
        let (status, body) = answer;
        Ok(Exchange { status, body, client })
    })
}

/// Which end of the connection, counted from the client, sends.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    ToClient,
    FromClient,
}

/// The rate in bit/s that a TCP connection from `client` to `target`, served in `server`, reaches.
pub(crate) fn rate(server: &Netns, client: &Netns, target: SocketAddr, direction: Direction) -> Result<f64> {
    let listener = listen(server, target.port())?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let (stream, _) = listener.accept().context("the server cannot accept")?;
            match direction {
                Direction::ToClient => send(&stream).map(|()| None),
                Direction::FromClient => receive(&stream).map(Some),
            }
        });
        let measured = client.run(|| {
            let stream = connect(target)?;
            match direction {
                Direction::ToClient => receive(&stream).map(Some),
                Direction::FromClient => send(&stream).map(|()| None),
            }
        });
        if measured.is_err() {
            release(server, target.port());
        }
        let at_server = serving.join().map_err(|_| anyhow!("the server panicked"))?;
        match (measured?, at_server?) {
            (Some(rate), _) | (_, Some(rate)) => Ok(rate),
            _ => bail!("nobody measured"),
        }
    })
}

fn listen(netns: &Netns, port: u16) -> Result<TcpListener> {
    // One socket for both families: Linux maps IPv4 into it unless bindv6only is set.
    netns.run(|| TcpListener::bind(("::", port)).with_context(|| format!("cannot listen on port {port}")))
}

/// Ends a server that still waits for its client.
fn release(netns: &Netns, port: u16) {
    let _ = netns.run(|| Ok(TcpStream::connect(("127.0.0.1", port)).map(drop)));
}

fn connect(target: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&target, PATIENCE)
        .with_context(|| format!("no connection to {target}"))?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot set a time limit")?;
    Ok(stream)
}

fn serve(listener: &TcpListener, name: &str) -> Result<IpAddr> {
    let (mut stream, client) = listener.accept().context("the HTTP server cannot accept")?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot set a time limit")?;
    let request = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    if request.count() == 0 {
        bail!("the HTTP server got no request");
    }
    let body = format!("hello from {name}\n");
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .context("the HTTP server cannot answer")?;
    Ok(client.ip().to_canonical())
}

fn fetch(target: SocketAddr) -> Result<(String, String)> {
    let mut stream = connect(target)?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {target}\r\n\r\n").context("cannot send the request")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("no answer from {target}"))?;
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("{target} answered no HTTP: {answer}"))?;
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.trim().to_owned()))
}

/// Sends until the other end has had enough.
fn send(mut stream: &TcpStream) -> Result<()> {
    let block = [0; 16 * 1024];
    stream.set_write_timeout(Some(PATIENCE)).context("cannot set a time limit")?;
    loop {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => bail!("the stream stands still"),
            Err(_) => return Ok(()),
        }
    }
}

/// Reads for the warm-up and the measured time, and returns the rate of the latter in bit/s.
fn receive(mut stream: &TcpStream) -> Result<f64> {
    stream.set_read_timeout(Some(PATIENCE)).context("cannot set a time limit")?;
    let mut block = vec![0; 64 * 1024];
    let begin = Instant::now();
    let mut measuring = None;
    let mut read = 0;
    loop {
        let count = stream.read(&mut block).context("the stream stands still")?;
        if count == 0 {
            bail!("the stream ended early");
        }
        read += count;
        match measuring {
            None if begin.elapsed() >= WARM_UP => measuring = Some(arrived(stream, read)?),
            Some((since, before)) if since.elapsed() >= MEASURED => {
                let (now, all) = arrived(stream, read)?;
                let _ = stream.shutdown(Shutdown::Both);
                let bits = 8.0 * f64::from(u32::try_from(all.saturating_sub(before)).unwrap_or(u32::MAX));
                return Ok(bits / (now - since).as_secs_f64());
            }
            _ => {}
        }
    }
}

/// How many bytes have arrived, and when: on a busy machine this thread comes late to read them.
fn arrived(stream: &TcpStream, read: usize) -> Result<(Instant, usize)> {
    let mut waiting = vec![0; 8 << 20];
    loop {
        let before = Instant::now();
        let count = stream.peek(&mut waiting).context("the stream stands still")?;
        let now = Instant::now();
        if now - before < Duration::from_millis(2) {
            return Ok((now, read + count));
        }
    }
}
