//! A client that can send any bytes over HTTP/1.1 and reads exactly what comes back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const CAP: Duration = Duration::from_secs(10);

/// A connection that is kept alive.
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The peer takes no further request on it.
    closed: bool,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The text of the first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

impl Connection {
    /// Connects to an address of this machine.
    ///
    /// # Errors
    /// The address is not a loopback one, or nobody listens.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("{address} is not a loopback address")));
        }
        let stream = TcpStream::connect_timeout(&address, CAP)?;
        stream.set_read_timeout(Some(CAP))?;
        stream.set_write_timeout(Some(CAP))?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, buffer: Vec::new(), closed: false })
    }

    /// A `GET` with these headers.
    ///
    /// # Errors
    /// The connection breaks, or no answer comes in time.
    pub fn get(&mut self, host: &str, path: &str, headers: &[(&str, &[u8])]) -> io::Result<Response> {
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
        for (name, value) in headers {
            request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        request.extend(b"\r\n");
        self.send(&request)
    }

    /// Sends a whole request as it stands and reads its answer; on a new connection where the last answer closed this one.
    ///
    /// # Errors
    /// The connection breaks, or no answer comes in time.
    pub fn send(&mut self, request: &[u8]) -> io::Result<Response> {
        if self.closed {
            *self = Self::open(self.address)?;
        }
        // Whatever comes in between, the rest of this connection is of no use.
        self.closed = true;
        // A peer that refuses a request may close before it has read all of it; its answer counts.
        let written = self.stream.write_all(request);
        let response = self.receive(request.starts_with(b"HEAD ")).map_err(|error| match (error.kind(), &written) {
            (ErrorKind::WouldBlock | ErrorKind::TimedOut, _) => {
                io::Error::new(ErrorKind::TimedOut, format!("{} gave no answer within {CAP:?}", self.address))
            }
            _ => error,
        })?;
        self.closed = written.is_err() || response.header("connection").as_deref() == Some("close");
        Ok(response)
    }

    fn receive(&mut self, head_only: bool) -> io::Result<Response> {
        loop {
            let response = self.receive_one(head_only)?;
            // What comes before the answer, such as `100 Continue`, has no body (RFC 9110, section 15.2).
            if response.status >= 200 {
                return Ok(response);
            }
        }
    }

    fn receive_one(&mut self, head_only: bool) -> io::Result<Response> {
        let broken = |why: &str| io::Error::new(ErrorKind::InvalidData, format!("the answer is not HTTP/1.1: {why}"));
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            self.fill()?;
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let mut lines = head.split(|&b| b == b'\n').map(|line| line.trim_ascii_end()).filter(|line| !line.is_empty());
        let status = lines.next().and_then(|line| std::str::from_utf8(line).ok()).and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|code| code.parse().ok()).ok_or_else(|| broken("no status"))?;
        let mut headers = Vec::new();
        for line in lines {
            let at = line.iter().position(|&b| b == b':').ok_or_else(|| broken("a header without a colon"))?;
            let (name, value) = line.split_at(at);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            headers.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        response.body = match (response.header("transfer-encoding"), response.header("content-length")) {
            _ if head_only || response.status < 200 => Vec::new(),
            (Some(_), _) => self.chunks()?,
            (None, Some(length)) => self.take(length.parse().map_err(|_| broken("a length that is not a number"))?)?,
            (None, None) => Vec::new(),
        };
        Ok(response)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match find(&self.buffer, b"\r\n") {
                    Some(end) => break end,
                    None => self.fill()?,
                }
            };
            let line = self.take(end + 2)?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16)
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            let mut chunk = self.take(size + 2)?;
            chunk.truncate(size);
            body.extend(chunk);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, size: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < size {
            self.fill()?;
        }
        Ok(self.buffer.drain(..size).collect())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 8192];
        let read = loop {
            match self.stream.read(&mut chunk) {
                // A read with a time limit is not begun anew by the system.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        match read {
            0 => Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{} closed the connection", self.address))),
            read => {
                self.buffer.extend(chunk.get(..read).unwrap_or_default());
                Ok(())
            }
        }
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|part| part == mark)
}
