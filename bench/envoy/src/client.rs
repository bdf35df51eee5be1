//! Connections to an Envoy: those that wait for answers, and those that never wait.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Result;
use crate::response::Response;

/// How long an answer may take.
const CAP: Duration = Duration::from_secs(20);

/// A connection that is kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    waits: bool,
}

impl Connection {
    /// Connects to an address.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CAP)?;
        stream.set_read_timeout(Some(CAP))?;
        stream.set_write_timeout(Some(CAP))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), waits: true })
    }

    /// From now on [`Connection::poll`] returns at once.
    pub(crate) fn never_wait(&mut self) -> Result<()> {
        self.waits = false;
        Ok(self.stream.set_nonblocking(true)?)
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads some answers, which must have a status.
    pub(crate) fn receive(&mut self, count: usize, status: u16) -> Result<()> {
        for _ in 0..count {
            self.answer(|response| expect(response, status))??;
        }
        Ok(())
    }

    /// Waits for an answer and reads it.
    pub(crate) fn answer<T>(&mut self, read: impl FnOnce(&Response<'_>) -> T) -> Result<T> {
        loop {
            if let Some(response) = Response::read(&self.buffer)? {
                let (value, size) = (read(&response), response.size);
                self.buffer.drain(..size);
                return Ok(value);
            }
            self.fill()?;
        }
    }

    /// Whether an answer is there; it is taken, and must have a status.
    pub(crate) fn poll(&mut self, status: u16) -> Result<bool> {
        self.fill()?;
        let Some(response) = Response::read(&self.buffer)? else {
            return Ok(false);
        };
        let size = response.size;
        expect(&response, status)?;
        self.buffer.drain(..size);
        Ok(true)
    }

    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 16384];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err("Envoy closed a connection".into()),
            Ok(read) => {
                self.buffer.extend(chunk.get(..read).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock && !self.waits => Ok(()),
            Err(error) => Err(format!("Envoy gave no answer: {error}").into()),
        }
    }
}

fn expect(response: &Response<'_>, status: u16) -> Result<()> {
    match response.status == status {
        true => Ok(()),
        false => Err(format!("the answer is {} instead of {status}", response.status).into()),
    }
}

/// The body of an answer of Envoy's admin interface.
pub(crate) fn ask(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, CAP)?;
    stream.set_read_timeout(Some(CAP))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let text = String::from_utf8(text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("the admin interface gave no answer")?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("{path}: {}", head.lines().next().unwrap_or_default()).into());
    }
    Ok(if head.to_lowercase().contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() })
}

/// The text of a body in chunks.
fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let chunk = usize::from_str_radix(size, 16).ok().and_then(|size| rest.split_at_checked(size));
        let Some((chunk, rest)) = chunk else { break };
        text.push_str(chunk);
        body = rest.strip_prefix("\r\n").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together() {
        assert_eq!(unchunked("5\r\nhello\r\nb\r\n, you\r\n all\r\n0\r\n\r\n"), "hello, you\r\n all");
        assert_eq!(unchunked(""), "");
    }
}
