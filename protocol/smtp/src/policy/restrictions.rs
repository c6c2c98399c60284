//! Postfix's access restrictions, as `zimbraMtaRestriction` and its kin hold them.

use super::lists::{Answers, zone_and_answers};

/// Restrictions of one setting.
const RESTRICTIONS_MAX: usize = 100;

/// What is checked before a recipient is accepted. Postfix's names are in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// `reject_invalid_helo_hostname`.
    InvalidHelo,
    /// `reject_non_fqdn_helo_hostname`.
    NonFqdnHelo,
    /// `reject_unknown_helo_hostname`: neither address nor MX.
    UnknownHelo,
    /// `reject_non_fqdn_sender`.
    NonFqdnSender,
    /// `reject_unknown_sender_domain`: neither address nor MX.
    UnknownSenderDomain,
    /// `reject_unlisted_sender`: an address of our own domain that does not exist.
    UnlistedSender,
    /// `reject_non_fqdn_recipient`: we take no others; kept so that it is not called unknown.
    NonFqdnRecipient,
    /// `reject_unknown_client_hostname`: no name that leads back.
    UnknownClient,
    /// `reject_unknown_reverse_client_hostname`: no name at all.
    UnknownReverseClient,
    /// `reject_unauth_pipelining`.
    UnauthPipelining,
    /// `reject_rbl_client zone`.
    ListedClient(String, Answers),
    /// `reject_rhsbl_client zone`.
    ListedClientName(String, Answers),
    /// `reject_rhsbl_helo zone`.
    ListedHelo(String, Answers),
    /// `reject_rhsbl_sender zone`.
    ListedSender(String, Answers),
    /// `permit_dnswl_client zone`: what follows is not asked.
    PermitListedClient(String, Answers),
}

/// Says what is true anyway: who is authorized is asked no other question, and nobody else relays.
const IMPLIED: [&str; 8] = [
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "permit_tls_clientcerts",
    "reject_unauth_destination",
    "reject_unlisted_recipient",
    "reject_unverified_recipient",
    "permit",
    "check_relay_domains",
];

/// The restrictions in their order, and what is not supported.
pub fn restrictions<'a>(values: impl IntoIterator<Item = &'a str>) -> (Vec<Restriction>, Vec<String>) {
    let (mut known, mut strange) = (Vec::new(), Vec::new());
    for value in values {
        let mut words = value.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
        while let Some(word) = words.next() {
            if IMPLIED.contains(&word) {
                continue;
            }
            let takes_argument = word.contains("_rbl_")
                || word.contains("_rhsbl_")
                || word.contains("_dnswl_")
                || word.starts_with("check_");
            let argument = if takes_argument { words.next() } else { None };
            match one(word, argument).filter(|_| known.len() < RESTRICTIONS_MAX) {
                Some(restriction) => known.push(restriction),
                None => strange.push(argument.map_or_else(|| word.to_string(), |a| format!("{word} {a}"))),
            }
        }
    }
    (known, strange)
}

fn one(word: &str, argument: Option<&str>) -> Option<Restriction> {
    let listed =
        |how: fn(String, Answers) -> Restriction| zone_and_answers(argument?).map(|(zone, answers)| how(zone, answers));
    Some(match word {
        "reject_invalid_helo_hostname" | "reject_invalid_hostname" => Restriction::InvalidHelo,
        "reject_non_fqdn_helo_hostname" | "reject_non_fqdn_hostname" => Restriction::NonFqdnHelo,
        "reject_unknown_helo_hostname" | "reject_unknown_hostname" => Restriction::UnknownHelo,
        "reject_non_fqdn_sender" => Restriction::NonFqdnSender,
        "reject_unknown_sender_domain" => Restriction::UnknownSenderDomain,
        "reject_unlisted_sender" => Restriction::UnlistedSender,
        "reject_non_fqdn_recipient" => Restriction::NonFqdnRecipient,
        "reject_unknown_client_hostname" | "reject_unknown_client" => Restriction::UnknownClient,
        "reject_unknown_reverse_client_hostname" => Restriction::UnknownReverseClient,
        "reject_unauth_pipelining" => Restriction::UnauthPipelining,
        "reject_rbl_client" => listed(Restriction::ListedClient)?,
        "reject_rhsbl_client" | "reject_rhsbl_reverse_client" => listed(Restriction::ListedClientName)?,
        "reject_rhsbl_helo" => listed(Restriction::ListedHelo)?,
        "reject_rhsbl_sender" => listed(Restriction::ListedSender)?,
        "permit_dnswl_client" => listed(Restriction::PermitListedClient)?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_zimbra_holds_them() {
        let (known, strange) = restrictions([
            "reject_invalid_helo_hostname",
            "permit_mynetworks, reject_rbl_client zen.spamhaus.org=127.0.0.[2..11]",
            "check_policy_service unix:private/policy",
            "reject_rhsbl_sender dbl.spamhaus.org reject_unknown_sender_domain",
            "reject_rbl_client",
            "reject_everything",
        ]);
        assert_eq!(known[0], Restriction::InvalidHelo);
        assert!(
            matches!(&known[1], Restriction::ListedClient(zone, a) if zone == "zen.spamhaus.org" && *a != Answers::any())
        );
        assert_eq!(known[2], Restriction::ListedSender("dbl.spamhaus.org".into(), Answers::any()));
        assert_eq!(known[3..], [Restriction::UnknownSenderDomain]);
        assert_eq!(strange, ["check_policy_service unix:private/policy", "reject_rbl_client", "reject_everything"]);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-z_ ,.=0-9]{0,60}", any in "\\PC{0,40}") {
            let _ = restrictions([text.as_str(), any.as_str()]);
        }
    }
}
