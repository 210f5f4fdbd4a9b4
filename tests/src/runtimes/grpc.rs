//! A gRPC client of one socket, for calls that take a message and answer one.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use h2::client::{self, SendRequest};
use http::{HeaderMap, Request};
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// No call of a test takes longer.
const PATIENCE: Duration = Duration::from_mins(2);
/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What the server answers instead of a message.
#[derive(Clone, Debug)]
pub struct Status {
    /// Of gRPC: 2 is `UNKNOWN`, 5 is `NOT_FOUND`, 14 is `UNAVAILABLE`.
    pub code: i32,
    /// For people.
    pub message: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}: {}", self.code, self.message)
    }
}

impl Status {
    fn unavailable(error: impl fmt::Display) -> Self {
        Self { code: 14, message: error.to_string() }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Channel {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

impl Channel {
    /// Connects to a socket; an error until somebody listens there.
    pub fn connect(socket: &Path) -> Result<Self, Status> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Status::unavailable)?;
        let sender = runtime.block_on(async {
            let stream = UnixStream::connect(socket).await.map_err(Status::unavailable)?;
            let (sender, connection) = client::handshake(stream).await.map_err(Status::unavailable)?;
            // Runs whenever a call waits.
            tokio::spawn(connection);
            Ok(sender)
        })?;
        Ok(Self { runtime, sender })
    }

    /// One call; `method` is `package.Service/Method`.
    pub fn call<A: Message + Default>(&self, method: &str, request: &impl Message) -> Result<A, Status> {
        let late = |_| Status { code: 4, message: format!("{method}: no answer after {PATIENCE:?}") };
        let answer = self.runtime.block_on(async {
            timeout(PATIENCE, self.unary(method, request.encode_to_vec())).await.map_err(late)?
        })?;
        A::decode(answer).map_err(|error| Status { code: 13, message: format!("{method}: {error}") })
    }

    async fn unary(&self, method: &str, message: Vec<u8>) -> Result<Bytes, Status> {
        let request = Request::post(format!("http://localhost/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(Status::unavailable)?;
        let sender = self.sender.clone();
        let mut sender = sender.ready().await.map_err(Status::unavailable)?;
        let (response, mut stream) = sender.send_request(request, false).map_err(Status::unavailable)?;
        let mut frame = BytesMut::with_capacity(PREFIX + message.len());
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).expect("a message of a test is short"));
        frame.put_slice(&message);
        stream.send_data(frame.freeze(), true).map_err(Status::unavailable)?;
        let response = response.await.map_err(Status::unavailable)?;
        // An error without a message comes as headers alone.
        status(response.headers())?;
        let mut body = response.into_body();
        let mut answer = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(Status::unavailable)?;
            body.flow_control().release_capacity(chunk.len()).map_err(Status::unavailable)?;
            answer.put(chunk);
        }
        if let Some(trailers) = body.trailers().await.map_err(Status::unavailable)? {
            status(&trailers)?;
        }
        if answer.len() < PREFIX {
            return Err(Status::unavailable(format!("{method}: an answer without a message")));
        }
        answer.advance(PREFIX);
        Ok(answer.freeze())
    }
}

/// What `grpc-status` says, if it is there.
fn status(headers: &HeaderMap) -> Result<(), Status> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("grpc-status") {
        "" | "0" => Ok(()),
        code => {
            let message = percent_decoded(text("grpc-message"));
            Err(Status { code: code.parse().unwrap_or(2), message })
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_decoded("a%20b%2Fc 100%"), "a b/c 100%");
        assert_eq!(percent_decoded("%C3%A4"), "ä");
    }
}
