//! A report as a message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Bytes of an encoded line (RFC 2045 §6.8).
const LINE_MAX: usize = 76;

/// What a report's message is made of.
pub struct Letter<'a> {
    /// The author.
    pub from: &'a str,
    /// Whom for.
    pub to: &'a [String],
    /// See RFC 8460 §5.3 and RFC 7489 §7.2.1.1.
    pub subject: String,
    /// More fields, each with its CRLF.
    pub fields: String,
    /// `Content-Type` of the whole, without the boundary.
    pub content_type: &'a str,
    /// For people.
    pub text: String,
    /// `Content-Type` of the report.
    pub attached_type: &'a str,
    /// Its file name.
    pub name: String,
    /// The report, compressed.
    pub attached: &'a [u8],
    /// Letters and digits that name this report only.
    pub id: &'a str,
    /// Our host.
    pub host: &'a str,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// Compresses as RFC 1952.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::default());
    // Into memory: nothing fails.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

impl Letter<'_> {
    /// The message.
    pub fn compose(&self) -> Bytes {
        let Letter { from, subject, fields, content_type, text, attached_type, name, id, host, .. } = self;
        let to = self.to.join(",\r\n\t");
        let date = zcluster_mail::rfc5322_date(self.now_ms as i64);
        let mut out = format!(
            "Date: {date}\r\nFrom: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{id}@{host}>\r\n\
             Auto-Submitted: auto-generated\r\n{fields}MIME-Version: 1.0\r\n\
             Content-Type: {content_type};\r\n\tboundary=\"=_{id}\"\r\n\r\n\
             --=_{id}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n\
             --=_{id}\r\nContent-Type: {attached_type};\r\n\tname=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{name}\"\r\n\r\n"
        );
        for line in BASE64.encode(self.attached).as_bytes().chunks(LINE_MAX) {
            out.push_str(&String::from_utf8_lossy(line));
            out.push_str("\r\n");
        }
        out.push_str(&format!("--=_{id}--\r\n"));
        out.into()
    }
}
