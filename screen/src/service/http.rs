//! One HTTP request on one connection.

use super::endpoint::Stream;
use super::pool::Failure;
use bytes::Bytes;
use futures::future::{Either, select};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use std::pin::pin;

/// Bytes of a reply's body.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// POSTs `body` to `path`. A field whose value cannot stand in a header is left out.
///
/// # Errors
/// [`Failure`]; an error status is a [`Failure::Reply`] with the server's words.
pub async fn post(stream: Stream, path: &str, fields: &[(&str, &str)], body: Bytes) -> Result<Bytes, Failure> {
    let mut request = Request::post(path).body(Full::new(body)).map_err(|e| Failure::Reply(e.to_string()))?;
    let headers = request.headers_mut();
    headers.insert(http::header::HOST, HeaderValue::from_static("localhost"));
    headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
        let body = body.map_err(|e| Failure::Reply(e.to_string()))?.to_bytes();
        if status == StatusCode::OK {
            return Ok(body);
        }
        let words = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        Err(Failure::Reply(format!("{status}: {words}")))
    };
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection has ended: whatever came over it is there.
        Either::Right((_, exchange)) => exchange.await,
    }
}

fn broken(error: hyper::Error) -> Failure {
    Failure::Io(std::io::Error::other(error))
}
