//! LMTP and SMTP clients.

use std::io;

use super::wire::Wire;

/// One LMTP or SMTP session.
pub struct Smtp {
    pub wire: Wire,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// 250: the server is now responsible.
    Acknowledged,
    /// A reply that says that the server did not take it.
    Refused(u16, String),
    /// The connection broke where the outcome cannot be known.
    Unknown(String),
}

impl Smtp {
    pub fn lmtp(port: u16) -> io::Result<Self> {
        Self::open(port, "LHLO")
    }

    pub fn esmtp(port: u16) -> io::Result<Self> {
        Self::open(port, "EHLO")
    }

    fn open(port: u16, hello: &str) -> io::Result<Self> {
        let mut this = Self { wire: Wire::open(port)? };
        this.expect(220)?;
        this.command(&format!("{hello} client.example.org"), 250)?;
        Ok(this)
    }

    /// A whole reply: its code and all lines.
    pub fn reply(&mut self) -> io::Result<(u16, String)> {
        let mut all = String::new();
        loop {
            let line = self.wire.text()?;
            all.push_str(&line);
            all.push('\n');
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let Some(code) = code else {
                return Err(io::Error::other(format!("not a reply: {line}")));
            };
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok((code, all.trim_end().to_owned()));
            }
        }
    }

    fn expect(&mut self, wanted: u16) -> io::Result<String> {
        let (code, text) = self.reply()?;
        if code == wanted { Ok(text) } else { Err(io::Error::other(text)) }
    }

    /// A command and its reply, whatever it is.
    pub fn ask(&mut self, command: &str) -> io::Result<(u16, String)> {
        self.wire.send(format!("{command}\r\n").as_bytes())?;
        self.reply()
    }

    /// A command that must get this code.
    pub fn command(&mut self, command: &str, wanted: u16) -> io::Result<String> {
        self.wire.send(format!("{command}\r\n").as_bytes())?;
        self.expect(wanted)
    }

    /// Delivers a message (CRLF line ends) to one recipient.
    pub fn deliver(&mut self, to: &str, message: &[u8]) -> Delivery {
        match self.envelope(to) {
            Ok(None) => {}
            Ok(Some((code, text))) => return Delivery::Refused(code, text),
            // Nothing of the message has been sent, so it cannot have arrived.
            Err(error) => return Delivery::Refused(0, error.to_string()),
        }
        let sent = self.wire.send(&stuffed(message)).and_then(|()| self.reply());
        match sent {
            Ok((250, _)) => Delivery::Acknowledged,
            Ok((code, text)) => Delivery::Refused(code, text),
            Err(error) => Delivery::Unknown(error.to_string()),
        }
    }

    fn envelope(&mut self, to: &str) -> io::Result<Option<(u16, String)>> {
        for (command, wanted) in
            [("MAIL FROM:<sender@example.org>", 250), (&format!("RCPT TO:<{to}>"), 250), ("DATA", 354)]
        {
            let (code, text) = self.ask(command)?;
            if code != wanted {
                let _ = self.ask("RSET")?;
                return Ok(Some((code, text)));
            }
        }
        Ok(None)
    }
}

/// RFC 5321 §4.5.2, with the final dot.
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    let mut at_start = true;
    for &byte in message {
        if at_start && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        at_start = byte == b'\n';
    }
    out.extend_from_slice(b".\r\n");
    out
}
