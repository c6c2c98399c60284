//! Counting how TLS with a host went.

use super::tally::Tally;
use crate::tls::NO_TLSA;
use mail_auth::report::tlsrpt::{FailureDetails, PolicyDetails, ResultType};
use rustls::{CertificateError, Error};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Characters of a reason that are kept.
const REASON_MAX: usize = 200;

/// Sessions with a host under a policy. All of them are equal: what is counted does not decide which connection is used.
#[derive(Clone, Debug, Default)]
pub struct Session(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    tally: Arc<Tally>,
    policy: PolicyDetails,
    host: String,
}

impl PartialEq for Session {
    fn eq(&self, _: &Session) -> bool {
        true
    }
}

impl Eq for Session {}

/// One session, between two addresses.
pub struct Between<'a> {
    session: &'a Session,
    from: Option<IpAddr>,
    to: Option<IpAddr>,
}

impl Session {
    /// Sessions with `host`, counted in `tally`.
    pub fn of(tally: &Arc<Tally>, policy: PolicyDetails, host: &str) -> Session {
        Session(Some(Arc::new(Inner { tally: tally.clone(), policy, host: host.to_string() })))
    }

    /// One of them.
    pub fn at(&self, stream: &TcpStream) -> Between<'_> {
        let ip = |address: std::io::Result<std::net::SocketAddr>| address.ok().map(|a| a.ip().to_canonical());
        Between { session: self, from: ip(stream.local_addr()), to: ip(stream.peer_addr()) }
    }

    /// A session that failed while it was open.
    pub fn failed(&self, kind: ResultType, stream: &TcpStream, reason: Option<&str>) {
        self.at(stream).failed(kind, reason);
    }

    /// One that was not even begun.
    pub fn refused(&self, kind: ResultType, reason: &str) {
        Between { session: self, from: None, to: None }.failed(kind, Some(reason));
    }
}

impl Between<'_> {
    /// It is secret; `unproven`: but did not prove what it should.
    pub fn done(&self, unproven: Option<&Error>) {
        match (unproven, &self.session.0) {
            (Some(error), _) => self.failed(kind_of(error), Some(&error.to_string())),
            (None, Some(inner)) => inner.tally.tls_success(&inner.policy),
            (None, None) => {}
        }
    }

    /// The handshake failed.
    pub fn broke(&self, error: &std::io::Error) {
        let kind =
            error.get_ref().and_then(|e| e.downcast_ref::<Error>()).map_or(ResultType::ValidationFailure, kind_of);
        self.failed(kind, Some(&error.to_string()));
    }

    fn failed(&self, kind: ResultType, reason: Option<&str>) {
        let Some(inner) = &self.session.0 else { return };
        let details = FailureDetails {
            result_type: kind,
            sending_mta_ip: self.from,
            receiving_mx_hostname: Some(inner.host.clone()),
            receiving_ip: self.to,
            failed_session_count: 1,
            failure_reason_code: reason.map(|r| r.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect()),
            ..FailureDetails::default()
        };
        inner.tally.tls_failure(&inner.policy, details);
    }
}

/// In the words of RFC 8460 §4.3.
fn kind_of(error: &Error) -> ResultType {
    use CertificateError as C;
    match error {
        Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => ResultType::CertificateExpired,
        Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            ResultType::CertificateHostMismatch
        }
        Error::InvalidCertificate(_) => ResultType::CertificateNotTrusted,
        Error::General(text) if text == NO_TLSA => ResultType::TlsaInvalid,
        _ => ResultType::ValidationFailure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_auth::report::tlsrpt::PolicyType;

    #[test]
    fn failures_have_the_rfcs_names() {
        for (error, kind) in [
            (Error::InvalidCertificate(CertificateError::Expired), ResultType::CertificateExpired),
            (Error::InvalidCertificate(CertificateError::NotValidForName), ResultType::CertificateHostMismatch),
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), ResultType::CertificateNotTrusted),
            (Error::General(NO_TLSA.into()), ResultType::TlsaInvalid),
            (Error::HandshakeNotComplete, ResultType::ValidationFailure),
        ] {
            assert_eq!(kind_of(&error), kind, "{error}");
        }
    }

    #[test]
    fn the_policy_counts_it() {
        let tally = Tally::in_memory();
        let session = Session::of(&tally, PolicyDetails::new(PolicyType::Sts, "a.example"), "mx.a.example");
        session.refused(ResultType::StsWebpkiInvalid, "line\r\nbreak");
        session.refused(ResultType::StsWebpkiInvalid, "line\r\nbreak");
        Between { session: &session, from: None, to: None }.done(None);
        let found = tally.tls_of("a.example");
        assert_eq!((found.len(), found[0].summary.total_success, found[0].summary.total_failure), (1, 1, 2));
        assert_eq!(found[0].failure_details[0].failed_session_count, 2);
        assert_eq!(found[0].failure_details[0].failure_reason_code.as_deref(), Some("linebreak"));
        assert_eq!(session, Session::default(), "no connection is kept apart by what is counted");
    }
}
