//! As much of an HTTP/1.1 client as the measurement needs, and no more: its own cost must stay small
//! against what it measures.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One GET as the bytes that go over the wire.
pub(crate) fn get(path: &str) -> Vec<u8> {
    get_with(path, "")
}

/// One GET with more headers.
pub(crate) fn get_with(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n").into_bytes()
}

/// One POST as the bytes that go over the wire.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A connection that is kept for the next request, or opened anew where the server closed it.
pub(crate) struct Connection {
    address: SocketAddr,
    socket: Option<TcpStream>,
    answer: Answer,
    /// How often a connection had to be opened.
    pub(crate) opened: u64,
}

impl Connection {
    /// Connects at once, so that the first request does not pay for it.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let mut connection = Self { address, socket: None, answer: Answer::default(), opened: 0 };
        connection.connect().await?;
        Ok(connection)
    }

    async fn connect(&mut self) -> Result<()> {
        let socket = TcpStream::connect(self.address)
            .await
            .with_context(|| format!("could not connect to {}", self.address))?;
        socket.set_nodelay(true)?;
        self.socket = Some(socket);
        self.opened += 1;
        Ok(())
    }

    /// Sends a request and waits for the whole answer; anything but a 200 is an error.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.send(request).await?;
        self.rest().await?;
        Ok(&self.answer.body)
    }

    /// Sends a request; the answer is read by [`Connection::until`] and [`Connection::rest`].
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.answer.restart();
        if self.socket.is_none() {
            self.connect().await?;
        }
        self.socket()?.write_all(request).await.context("could not send a request")
    }

    /// Reads until the body has `mark` in it.
    pub(crate) async fn until(&mut self, mark: &memmem::Finder<'_>) -> Result<()> {
        let mut more = true;
        while !self.answer.has(mark) {
            ensure!(more, "the answer ended without what was waited for: {}", self.answer.tail());
            more = self.read().await?;
        }
        Ok(())
    }

    /// Reads the body to its end.
    pub(crate) async fn rest(&mut self) -> Result<()> {
        while self.read().await? {}
        Ok(())
    }

    /// Whether the body, as far as it was read, has `mark` in it.
    pub(crate) fn has(&self, mark: &memmem::Finder<'_>) -> bool {
        mark.find(&self.answer.body).is_some()
    }

    /// The end of the body, for an error's text.
    pub(crate) fn tail(&self) -> String {
        self.answer.tail()
    }

    /// Reads what has arrived; `false` when the answer is whole.
    async fn read(&mut self) -> Result<bool> {
        if self.answer.state == State::Whole {
            return Ok(false);
        }
        let Self { socket: Some(socket), answer, .. } = self else { bail!("no request was sent") };
        answer.raw.reserve(READ_BYTES);
        let count = socket.read_buf(&mut answer.raw).await.context("could not read an answer")?;
        if count == 0 {
            ensure!(answer.state == State::UntilClosed, "the connection closed early: {}", answer.tail());
            answer.state = State::Whole;
        }
        answer.advance()?;
        if answer.state != State::Whole {
            return Ok(true);
        }
        if answer.closes || count == 0 {
            self.socket = None;
        }
        ensure!(self.answer.status == 200, "status {}: {}", self.answer.status, self.answer.tail());
        Ok(false)
    }

    fn socket(&mut self) -> Result<&mut TcpStream> {
        self.socket.as_mut().context("not connected")
    }
}

const READ_BYTES: usize = 32 << 10;

/// An answer as far as it was read. The buffers are kept from one answer to the next.
#[derive(Default)]
struct Answer {
    raw: Vec<u8>,
    /// What of `raw` is decoded.
    decoded: usize,
    body: Vec<u8>,
    /// What of `body` was searched by [`Answer::has`].
    searched: usize,
    state: State,
    status: u16,
    closes: bool,
}

/// What the next undecoded byte belongs to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// The line with a chunk's size.
    Size,
    Chunk(usize),
    /// The line break after a chunk.
    ChunkEnd,
    /// The lines after the last chunk.
    Trailer,
    Length(usize),
    UntilClosed,
    Whole,
}

impl Answer {
    fn restart(&mut self) {
        self.raw.clear();
        self.body.clear();
        self.decoded = 0;
        self.searched = 0;
        self.state = State::Head;
    }

    /// Whether the part of the body that was not searched before has `mark` in it. What follows the mark
    /// stays unsearched, for the next mark.
    fn has(&mut self, mark: &memmem::Finder<'_>) -> bool {
        let found = mark.find(&self.body[self.searched..]);
        // A mark may be split between two reads.
        let unseen = self.body.len().saturating_sub(mark.needle().len() - 1);
        self.searched =
            found.map_or(self.searched.max(unseen), |at| self.searched + at + mark.needle().len());
        found.is_some()
    }

    /// Decodes what was read.
    fn advance(&mut self) -> Result<()> {
        loop {
            match self.state {
                State::Head => {
                    let Some(end) = memmem::find(&self.raw, b"\r\n\r\n") else {
                        return Ok(());
                    };
                    self.decoded = end + 4;
                    self.read_head(end)?;
                }
                State::Size => {
                    let Some(line) = self.line() else { return Ok(()) };
                    let text = std::str::from_utf8(&self.raw[line])?;
                    let digits = text.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(digits, 16)
                        .with_context(|| format!("`{text}` is no chunk size"))?;
                    self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
                }
                State::Chunk(size) => match self.take(size) {
                    0 => self.state = State::ChunkEnd,
                    left => {
                        self.state = State::Chunk(left);
                        return Ok(());
                    }
                },
                State::ChunkEnd => {
                    if self.line().is_none() {
                        return Ok(());
                    }
                    self.state = State::Size;
                }
                State::Trailer => {
                    let Some(line) = self.line() else { return Ok(()) };
                    if line.is_empty() {
                        self.state = State::Whole;
                    }
                }
                State::Length(size) => match self.take(size) {
                    0 => self.state = State::Whole,
                    left => {
                        self.state = State::Length(left);
                        return Ok(());
                    }
                },
                State::UntilClosed => {
                    self.take(usize::MAX);
                    return Ok(());
                }
                State::Whole => return Ok(()),
            }
        }
    }

    fn read_head(&mut self, end: usize) -> Result<()> {
        let head = std::str::from_utf8(&self.raw[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        self.status = status.parse().with_context(|| format!("`{head}` has no status"))?;
        self.state = State::UntilClosed;
        self.closes = false;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
                self.state = State::Size;
            } else if name.eq_ignore_ascii_case("content-length") {
                self.state = State::Length(value.parse()?);
            } else if name.eq_ignore_ascii_case("connection") {
                self.closes = value.eq_ignore_ascii_case("close");
            }
        }
        Ok(())
    }

    /// The next line without its break, if it is here.
    fn line(&mut self) -> Option<std::ops::Range<usize>> {
        let start = self.decoded;
        let end = start + memmem::find(&self.raw[start..], b"\r\n")?;
        self.decoded = end + 2;
        Some(start..end)
    }

    /// Moves up to `size` bytes to the body and returns how many are still to come.
    fn take(&mut self, size: usize) -> usize {
        let here = size.min(self.raw.len() - self.decoded);
        self.body.extend_from_slice(&self.raw[self.decoded..self.decoded + here]);
        self.decoded += here;
        size - here
    }

    fn tail(&self) -> String {
        const TAIL_BYTES: usize = 1000;
        let start = self.body.len().saturating_sub(TAIL_BYTES);
        String::from_utf8_lossy(&self.body[start..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_answer_is_decoded_however_it_is_cut() {
        let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
            5\r\nhello\r\n1;a=b\r\n \r\n6\r\nworld!\r\n0\r\nX: y\r\n\r\n";
        for size in 1..wire.len() {
            let mut answer = Answer::default();
            for piece in wire.chunks(size) {
                answer.raw.extend_from_slice(piece);
                answer.advance().unwrap();
            }
            assert!(answer.state == State::Whole, "pieces of {size} bytes");
            assert_eq!(answer.tail(), "hello world!");
            assert_eq!((answer.status, answer.closes), (200, true));
        }
    }

    #[test]
    fn marks_are_found_in_order_even_when_they_are_split() {
        let mut answer = Answer::default();
        let mark = memmem::Finder::new("delta");
        answer.body.extend_from_slice(b"x del");
        assert!(!answer.has(&mark));
        answer.body.extend_from_slice(b"ta delta");
        assert!(answer.has(&mark) && answer.has(&mark) && !answer.has(&mark));
    }
}
