//! A server of the test's own, for what no proxy answers: chosen headers, and a WebSocket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// A request as it came to the server.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its first line.
    pub line: String,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// Its body, where it says how long that is, or comes in chunks.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn read(lines: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut request = Self::default();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match (line.trim_end(), line.split_once(':')) {
                ("", _) => {
                    let length = request.header("content-length").and_then(|length| length.parse().ok());
                    request.body = match request.header("transfer-encoding") {
                        Some(_) => chunks(lines)?,
                        None => exactly(lines, length.unwrap_or(0))?,
                    };
                    return Ok(Some(request));
                }
                (first, _) if request.line.is_empty() => first.clone_into(&mut request.line),
                (_, Some((name, value))) => {
                    request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                _ => {}
            }
        }
    }
}

fn exactly(lines: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    lines.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A body in chunks (RFC 9112, section 7.1), without trailers.
fn chunks(lines: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        lines.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("`{size}` is not the size of a chunk")))?;
        body.extend(exactly(lines, size)?);
        lines.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// The example of RFC 6455, section 1.3: a client's key, and the server's proof that it has read it.
pub const WEBSOCKET_KEY: [&str; 2] = ["dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="];

/// Serves from threads until the process ends: `answer` gives status line, header lines and body. A WebSocket is answered by
/// the server itself, and echoes.
///
/// # Errors
/// No address is free.
pub fn serve(answer: impl Fn(&Request) -> (String, String, String) + Clone + Send + 'static) -> io::Result<SocketAddr> {
    serve_at("127.0.0.1:0", answer)
}

/// The same at a chosen address.
///
/// # Errors
/// It is taken.
pub fn serve_at(
    address: &str,
    answer: impl Fn(&Request) -> (String, String, String) + Clone + Send + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            // A client that goes away ends its thread.
            std::thread::spawn(move || converse(stream, answer));
        }
    });
    Ok(address)
}

fn converse(mut stream: TcpStream, answer: impl Fn(&Request) -> (String, String, String)) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = Request::read(&mut reader)? {
        if request.header("upgrade") == Some("websocket") {
            return echo(&request, reader, stream);
        }
        let (status, headers, body) = answer(&request);
        let length = format!("content-length: {}\r\n", body.len());
        stream.write_all(format!("HTTP/1.1 {status}\r\n{length}{headers}\r\n{body}").as_bytes())?;
    }
    Ok(())
}

fn echo(request: &Request, mut reader: impl Read, mut stream: TcpStream) -> io::Result<()> {
    let [key, proof] = WEBSOCKET_KEY;
    if request.header("sec-websocket-key") != Some(key) {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    }
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n";
    stream.write_all(format!("{head}sec-websocket-accept: {proof}\r\n\r\n").as_bytes())?;
    loop {
        let text = read_frame(&mut reader)?;
        stream.write_all(&frame(&text, None))?;
    }
}

/// A text of at most 125 bytes as a frame (RFC 6455, section 5.2); a client's has a mask.
#[must_use]
pub fn frame(text: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(125).min(125);
    let masked = text.iter().zip(mask.unwrap_or_default().into_iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let head = [0x81, length | if mask.is_some() { 0x80 } else { 0 }];
    head.into_iter().chain(mask.into_iter().flatten()).chain(masked.take(usize::from(length))).collect()
}

/// The text of the next frame.
///
/// # Errors
/// The connection breaks, or another frame comes than a short text.
pub fn read_frame(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    let [kind, length] = head;
    if kind != 0x81 || length & 0x7f > 125 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame that begins with {head:02x?}")));
    }
    let mut mask = [0; 4];
    if length & 0x80 != 0 {
        reader.read_exact(&mut mask)?;
    }
    let mut text = vec![0; usize::from(length & 0x7f)];
    reader.read_exact(&mut text)?;
    Ok(text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
}
