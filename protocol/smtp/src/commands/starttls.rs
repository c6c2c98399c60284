//! STARTTLS (RFC 3207).

use crate::codec::Reply;
use crate::session::{Next, Session};
use zcluster_listener::ReadError;

impl Session {
    /// RFC 3207 §4. Commands pipelined behind STARTTLS would be taken for the encrypted client's own
    /// (CVE-2011-0411): they end the session.
    pub(crate) async fn start_tls(&mut self) -> Result<Next, ReadError> {
        if !self.conn.can_start_tls() {
            let reply = Reply::new(503, "5.5.1", "TLS not available or already active");
            self.count("STARTTLS", &reply);
            self.reply(&reply);
            return Ok(Next::Go);
        }
        if !self.conn.buffered().is_empty() {
            let reply = Reply::new(554, "5.5.1", "input after STARTTLS must wait for the handshake");
            self.count("STARTTLS", &reply);
            self.reply(&reply);
            return Ok(Next::Close);
        }
        let reply = Reply::new(220, "2.0.0", "ready to start TLS");
        self.count("STARTTLS", &reply);
        self.reply(&reply);
        self.conn.start_tls().await?;
        // RFC 3207 §4.2: what was learned before is forgotten.
        self.greeting = None;
        self.transaction = None;
        self.account = None;
        Ok(Next::Go)
    }
}
