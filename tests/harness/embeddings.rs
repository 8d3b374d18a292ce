//! An endpoint that is asked for vectors as `OpenAI`'s is, and answers as a test wants it to. Owns a thread that ends with the test.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

/// The words that a vector says something of, each by a number of its own.
const WORDS: [&str; 3] = ["crane", "buoy", "pilot"];

/// An endpoint.
#[derive(Debug)]
pub struct Embeddings {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The header `authorization`; empty if there was none.
    pub authorization: String,
    /// The name of the model.
    pub model: String,
}

impl Embeddings {
    /// One that answers so: with a status and a body, to the how manieth question about which texts.
    pub fn answering(answer: impl Fn(usize, &[String]) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away meanwhile is none.
                let _ = stream.and_then(|stream| serve(stream, &told, &answer));
            }
        });
        Self { address, asked }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/v1/embeddings", self.address)
    }

    /// Everything that it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An endpoint that comes and goes. It answers a text with how often each of its words is there, and 1.
#[derive(Debug)]
pub struct OfWords {
    endpoint: Embeddings,
    status: Arc<AtomicU16>,
    dimension: Arc<AtomicUsize>,
}

impl OfWords {
    /// Numbers of its vectors.
    pub const DIMENSION: usize = WORDS.len() + 1;

    /// One that answers.
    pub fn start() -> Self {
        let (status, dimension) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(Self::DIMENSION)));
        let (answers, numbers) = (Arc::clone(&status), Arc::clone(&dimension));
        let endpoint = Embeddings::answering(move |_, texts| {
            let data = texts.iter().enumerate().map(|(index, text)| {
                let text = text.to_lowercase();
                let mut vector: Vec<usize> = WORDS.iter().map(|word| text.matches(word).count()).chain([1]).collect();
                vector.resize(numbers.load(Ordering::Relaxed), 0);
                json!({"index": index, "embedding": vector})
            });
            (answers.load(Ordering::Relaxed), json!({"data": data.collect::<Vec<_>>()}))
        });
        Self { endpoint, status, dimension }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.endpoint.url()
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

fn serve(
    stream: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    answer: &impl Fn(usize, &[String]) -> (u16, Value),
) -> io::Result<()> {
    let (mut stream, mut length, mut line) = (BufReader::new(stream), 0, String::new());
    let mut authorization = String::new();
    while stream.read_line(&mut line)? > 2 {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "authorization" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let question: Value = serde_json::from_slice(&body)?;
    let texts: Vec<String> = serde_json::from_value(question["input"].clone())?;
    let model = question["model"].as_str().unwrap_or_default().to_owned();
    let time = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(Asked { authorization, model });
        asked.len() - 1
    };
    let (status, body) = answer(time, &texts);
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.get_mut().write_all(format!("{head}{body}").as_bytes())
}
