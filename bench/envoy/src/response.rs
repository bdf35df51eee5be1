//! Reads HTTP/1.1 responses of known length out of what came in so far.

use crate::Result;

/// A response that is there as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    /// The status line and the headers.
    head: &'a [u8],
    pub(crate) body: &'a [u8],
    /// Bytes of head and body.
    pub(crate) size: usize,
}

impl<'a> Response<'a> {
    /// Reads the first response of a buffer; `None` while it is not there as a whole.
    pub(crate) fn read(buffer: &'a [u8]) -> Result<Option<Self>> {
        let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let (head, rest) = buffer.split_at_checked(end + 4).unwrap_or_default();
        let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<usize>().ok();
        let status = head.strip_prefix(b"HTTP/1.1 ").and_then(|line| number(line.get(..3)?));
        let status = status.and_then(|status| u16::try_from(status).ok()).ok_or("a response without a status")?;
        let length = value(head, b"content-length").map_or(Some(0), number);
        let length = length.filter(|_| value(head, b"transfer-encoding").is_none()).ok_or("a response of unknown length")?;
        Ok(rest.get(..length).map(|body| Self { status, head, body, size: head.len() + length }))
    }

    /// The value of the first header of a name.
    pub(crate) fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        value(self.head, name)
    }
}

fn value<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let (key, rest) = line.split_at_checked(name.len())?;
        key.eq_ignore_ascii_case(name).then(|| rest.strip_prefix(b":").map(<[u8]>::trim_ascii))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_it_is_whole() {
        let one = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nx-version: v2\r\n\r\nhello";
        for length in 0..one.len() {
            assert_eq!(Response::read(&one[..length]).unwrap(), None, "{length}");
        }
        let two = [&one[..], b"HTTP/1.1 200 OK\r\n\r\n"].concat();
        let first = Response::read(&two).unwrap().unwrap();
        assert_eq!((first.status, first.body, first.size), (503, &b"hello"[..], one.len()));
        assert_eq!(first.header(b"x-version"), Some(&b"v2"[..]));
        assert_eq!(first.header(b"x-vers"), None);
        let second = Response::read(&two[first.size..]).unwrap().unwrap();
        assert_eq!((second.status, second.size), (200, 19));
    }

    #[test]
    fn what_has_no_known_length_or_status_is_an_error() {
        for text in [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "SMTP\r\n\r\n",
        ] {
            assert!(Response::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
