//! A model server that answers at once: the same prepared stream to every `POST /v1/chat/completions`.
//!
//! `POST /hold` makes the next streams stop half-way until `POST /release`; `GET /connections` says how many
//! connections were opened so far.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::rc::Rc;

use anyhow::{Context as _, Result};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// The model that this upstream says it has.
pub(crate) const MODEL: &str = "scripted";
/// How many pieces of text an answer has.
pub(crate) const DELTAS: usize = 16;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
const WORDS: [&str; 4] = ["Three ", "times ", "one is ", "three. "];

/// Prints the port and serves until standard input closes, which it does when the bench ends in any way.
pub(crate) async fn serve() -> Result<()> {
    serve_with(async |listener| LocalSet::new().run_until(accept(listener)).await).await
}

/// Prints the port of a listener and serves with it until standard input closes.
pub(crate) async fn serve_with(accept: impl AsyncFnOnce(TcpListener) -> Result<()>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    tokio::select! {
        outcome = accept(listener) => outcome,
        closed = closed => Ok(closed?.map(drop)?),
    }
}

async fn accept(listener: TcpListener) -> Result<()> {
    let script = Rc::new(Script::new());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let script = Rc::clone(&script);
        script.connections.set(script.connections.get() + 1);
        // A client that goes away is no concern of ours.
        tokio::task::spawn_local(async move { script.converse(socket).await.ok() });
    }
}

/// The prepared answers.
struct Script {
    /// The head of the answer and the first half of the stream.
    begin: Vec<u8>,
    rest: Vec<u8>,
    /// `begin` and `rest` for one write.
    whole: Vec<u8>,
    held: watch::Sender<bool>,
    connections: Cell<u64>,
}

impl Script {
    fn new() -> Self {
        let mut begin = HEAD.to_owned();
        first_half().iter().for_each(|event| begin += &chunked(event));
        let mut rest = String::new();
        (DELTAS / 2..DELTAS).for_each(|index| rest += &chunked(&event(&text(index))));
        rest += &chunked(&event(&choice("{}", r#""stop""#)));
        rest += &chunked(&event(&chunk(
            r#""choices":[],"usage":{"prompt_tokens":20,"completion_tokens":16,"total_tokens":36}"#,
        )));
        rest += &chunked(&event("[DONE]"));
        let whole = format!("{begin}{rest}").into_bytes();
        Self {
            begin: begin.into_bytes(),
            rest: rest.into_bytes(),
            whole,
            held: watch::Sender::new(false),
            connections: Cell::new(0),
        }
    }

    /// Answers the requests of one connection, one after the other.
    async fn converse(&self, mut socket: TcpStream) -> Result<()> {
        let mut input = Vec::with_capacity(16 << 10);
        loop {
            let Some(request) = read_request(&mut socket, &mut input).await? else {
                return Ok(());
            };
            match request.as_str() {
                "POST /v1/chat/completions" => self.stream(&mut socket).await?,
                "GET /v1/models" => {
                    let model =
                        format!(r#"{{"id":"{MODEL}","object":"model","created":1,"owned_by":"bench"}}"#);
                    let body = format!(r#"{{"object":"list","data":[{model}]}}"#);
                    answer(&mut socket, "200 OK", &body).await?;
                }
                "GET /connections" => {
                    answer(&mut socket, "200 OK", &self.connections.get().to_string()).await?;
                }
                "POST /hold" => {
                    self.held.send_replace(true);
                    answer(&mut socket, "200 OK", "{}").await?;
                }
                "POST /release" => {
                    self.held.send_replace(false);
                    answer(&mut socket, "200 OK", "{}").await?;
                }
                _ => answer(&mut socket, "404 Not Found", "{}").await?,
            }
        }
    }

    async fn stream(&self, socket: &mut TcpStream) -> Result<()> {
        let mut held = self.held.subscribe();
        if *held.borrow_and_update() {
            socket.write_all(&self.begin).await?;
            held.wait_for(|held| !held).await?;
            socket.write_all(&self.rest).await?;
        } else {
            socket.write_all(&self.whole).await?;
        }
        // By itself, as model servers send it: a client that leaves after [DONE] loses the connection.
        Ok(socket.write_all(b"0\r\n\r\n").await?)
    }
}

/// The events before those that wait while streams are held.
pub(crate) fn first_half() -> Vec<String> {
    let role = choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null");
    std::iter::once(role).chain((0..DELTAS / 2).map(text)).map(|data| event(&data)).collect()
}

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// A piece of a body whose length is not known before.
fn chunked(piece: &str) -> String {
    format!("{:x}\r\n{piece}\r\n", piece.len())
}

fn chunk(rest: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"{MODEL}","system_fingerprint":null,{rest}}}"#
    )
}

fn choice(delta: &str, finish: &str) -> String {
    chunk(&format!(
        r#""choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null"#
    ))
}

fn text(index: usize) -> String {
    choice(&format!(r#"{{"content":"{}"}}"#, WORDS[index % WORDS.len()]), "null")
}

async fn answer(socket: &mut TcpStream, status: &str, body: &str) -> Result<()> {
    let mut answer = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
    write!(answer, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    Ok(socket.write_all(answer.as_bytes()).await?)
}

/// Reads one request with its body and returns its method and path; `None` when the client is gone.
async fn read_request(socket: &mut TcpStream, input: &mut Vec<u8>) -> Result<Option<String>> {
    let head = loop {
        if let Some(end) = memmem::find(input, b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(input).await? == 0 {
            return Ok(None);
        }
    };
    let text = std::str::from_utf8(&input[..head])?;
    let mut first = text.split(' ');
    let request = format!("{} {}", first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let end = head + content_length(text)?;
    while input.len() < end {
        if socket.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
    input.drain(..end);
    Ok(Some(request))
}

fn content_length(head: &str) -> Result<usize> {
    let header = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let Some((_, value)) = header else { return Ok(0) };
    value.trim().parse().with_context(|| format!("`{value}` is no length"))
}
