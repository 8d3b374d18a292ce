//! An endpoint that makes vectors as `OpenAI`'s does, and fails as a test wants it to. Owns a thread that ends with the test.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

/// The words that a vector says something of, each by a number of its own.
const WORDS: [&str; 3] = ["crane", "buoy", "pilot"];

/// An endpoint. It answers a text with how often each of its words is there, and 1.
#[derive(Debug)]
pub struct Embeddings {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    dimension: Arc<AtomicUsize>,
}

impl Embeddings {
    /// Numbers of its vectors.
    pub const DIMENSION: usize = WORDS.len() + 1;

    /// One that answers.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let (status, dimension) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(Self::DIMENSION)));
        let (answers, numbers) = (Arc::clone(&status), Arc::clone(&dimension));
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away meanwhile is none.
                let _ = stream.and_then(|stream| {
                    answer(stream, answers.load(Ordering::Relaxed), numbers.load(Ordering::Relaxed))
                });
            }
        });
        Self { address, status, dimension }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/v1/embeddings", self.address)
    }

    /// From now on it answers with this status.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// From now on its vectors have so many numbers.
    pub fn answer_of(&self, dimension: usize) {
        self.dimension.store(dimension, Ordering::Relaxed);
    }
}

fn answer(stream: TcpStream, status: u16, dimension: usize) -> io::Result<()> {
    let (mut stream, mut length, mut line) = (BufReader::new(stream), 0, String::new());
    while stream.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let question: Value = serde_json::from_slice(&body)?;
    let texts: Vec<String> = serde_json::from_value(question["input"].clone())?;
    let data = texts.iter().enumerate().map(|(index, text)| {
        let text = text.to_lowercase();
        let mut vector: Vec<usize> = WORDS.iter().map(|word| text.matches(word).count()).chain([1]).collect();
        vector.resize(dimension, 0);
        json!({"index": index, "embedding": vector})
    });
    let body = if status == 200 { json!({"data": data.collect::<Vec<_>>()}) } else { json!({"error": "not now"}) };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.get_mut().write_all(format!("{head}{body}").as_bytes())
}
