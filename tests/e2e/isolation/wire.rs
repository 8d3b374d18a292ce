//! Calls as bytes: what is sent, and everything that came back. Owns the codec; decodes nothing but signs of life.

use std::{fmt, net::SocketAddr, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::MethodDescriptor;
use proto::events::v1::SubscribeResponse;
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{KeyAndValueRef, MetadataMap},
    transport::{Channel, Endpoint},
};

/// Streams of one connection: servers take 200.
const STREAMS: usize = 64;
const CONNECTIONS: usize = 4;
/// Calls at a time.
pub(crate) const AT_A_TIME: usize = STREAMS * CONNECTIONS / 4;

/// Connections to one server, as somebody.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    channels: Vec<Channel>,
    metadata: MetadataMap,
}

/// All that an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) code: tonic::Code,
    /// Message, details, metadata and messages, one after the other.
    pub(crate) bytes: Vec<u8>,
}

impl Door {
    /// `host`: the authority that calls name. `headers`: what they carry.
    pub(crate) async fn open(server: SocketAddr, host: Option<&str>, headers: &[(&'static str, String)]) -> Self {
        let mut endpoint = Endpoint::new(format!("http://{server}")).expect("an address is a URI");
        if let Some(host) = host {
            endpoint = endpoint.origin(format!("http://{host}").parse().expect("a host is a URI"));
        }
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(endpoint.connect().await.expect("the server accepts"));
        }
        let mut metadata = MetadataMap::new();
        for (name, value) in headers {
            metadata.insert(*name, value.parse().expect("ASCII"));
        }
        Self { channels, metadata }
    }

    /// Calls `method`. `number` spreads calls over connections; `timeout` is sent, none is none.
    /// A stream of answers is read until it shows a second sign of life without an event.
    pub(crate) async fn call(
        &self,
        method: &MethodDescriptor,
        message: Vec<u8>,
        number: usize,
        timeout: Option<Duration>,
    ) -> Answer {
        let mut grpc = Grpc::new(self.channels[number % CONNECTIONS].clone()).max_decoding_message_size(16 << 20);
        grpc.ready().await.expect("the server is there");
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let path: PathAndQuery = path.parse().expect("a method is a path");
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        let one = |message: Bytes| vec![message];
        let answer = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => grpc.unary(request, path, Raw).await.map(|answer| answer.map(one)),
            (true, false) => {
                let request = request.map(|message| stream::iter([message]));
                grpc.client_streaming(request, path, Raw).await.map(|answer| answer.map(one))
            }
            (false, true) => match grpc.server_streaming(request, path, Raw).await {
                Ok(answer) => {
                    let (metadata, messages, extensions) = answer.into_parts();
                    let messages = until_silence(messages).await;
                    messages.map(|messages| tonic::Response::from_parts(metadata, messages, extensions))
                }
                Err(status) => Err(status),
            },
            (true, true) => {
                let request = request.map(|message| stream::iter([message]));
                match grpc.streaming(request, path, Raw).await {
                    Ok(answer) => {
                        let (metadata, messages, extensions) = answer.into_parts();
                        let messages: Result<Vec<_>, _> = messages.try_collect().await;
                        messages.map(|messages| tonic::Response::from_parts(metadata, messages, extensions))
                    }
                    Err(status) => Err(status),
                }
            }
        };
        match answer {
            Ok(answer) => Answer::new(tonic::Code::Ok, answer.metadata(), answer.get_ref()),
            Err(status) => {
                let said = [Bytes::from(status.message().to_owned()), Bytes::copy_from_slice(status.details())];
                Answer::new(status.code(), status.metadata(), &said)
            }
        }
    }
}

async fn until_silence(mut messages: Streaming<Bytes>) -> Result<Vec<Bytes>, Status> {
    let (mut read, mut signs) = (Vec::new(), 0);
    while let Some(message) = messages.next().await {
        let message = message?;
        // What ends by itself has other messages.
        let sign = SubscribeResponse::decode(message.clone());
        signs += usize::from(sign.is_ok_and(|sign| sign.event.is_none()));
        read.push(message);
        if signs == 2 {
            break;
        }
    }
    Ok(read)
}

impl Answer {
    /// Whether the client itself gave up.
    pub(crate) fn is_none(&self) -> bool {
        self.code == tonic::Code::Cancelled && self.bytes.starts_with(b"Timeout expired")
    }

    /// Whether the call met its connection as that went away, as a peer's does after its time: nobody has answered.
    pub(crate) fn is_lost(&self) -> bool {
        self.code == tonic::Code::Cancelled && self.bytes.starts_with(b"operation was canceled")
    }

    fn new(code: tonic::Code, metadata: &MetadataMap, said: &[Bytes]) -> Self {
        let mut bytes = said.concat();
        for entry in metadata.iter() {
            match entry {
                KeyAndValueRef::Ascii(name, _) if name == "date" => {}
                KeyAndValueRef::Ascii(_, value) => bytes.extend(value.as_encoded_bytes()),
                KeyAndValueRef::Binary(_, value) => bytes.extend(value.to_bytes().expect("base64")),
            }
            bytes.push(b'\n');
        }
        Self { code, bytes }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:?}: {}", self.code, self.bytes.escape_ascii())
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
