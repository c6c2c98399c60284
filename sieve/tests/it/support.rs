//! A world to run scripts in, and short words for what they do.

use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::Bytes;
use zcluster_sieve::{
    Action, Context, Envelope, IncludeError, Limits, Location, Outcome, Script, compile, run, run_sequence,
};

#[derive(Clone, Debug, Default)]
pub struct World {
    pub now_ms: i64,
    pub zone: i32,
    pub own: Vec<String>,
    pub mailboxes: BTreeSet<String>,
    pub special: BTreeSet<(Option<String>, String)>,
    pub ids: BTreeSet<String>,
    pub metadata: BTreeMap<(Option<String>, String), String>,
    pub environment: BTreeMap<String, String>,
    pub spam: Option<u8>,
    pub virus: Option<u8>,
    pub scripts: BTreeMap<(Location, String), String>,
    pub seen: BTreeSet<[u8; 32]>,
}

impl Context for World {
    fn now_ms(&self) -> i64 {
        self.now_ms
    }
    fn zone_minutes(&self, _: i64) -> i32 {
        self.zone
    }
    fn own_addresses(&self) -> Vec<String> {
        self.own.clone()
    }
    fn own_name(&self) -> Option<String> {
        Some("Bob Bär".into())
    }
    fn mailbox_exists(&self, name: &str) -> bool {
        self.mailboxes.contains(name)
    }
    fn special_use_exists(&self, mailbox: Option<&str>, attribute: &str) -> bool {
        self.special.contains(&(mailbox.map(str::to_string), attribute.to_string()))
    }
    fn mailbox_by_id(&self, id: &str) -> bool {
        self.ids.contains(id)
    }
    fn metadata(&self, mailbox: Option<&str>, annotation: &str) -> Option<String> {
        self.metadata.get(&(mailbox.map(str::to_string), annotation.to_string())).cloned()
    }
    fn environment(&self, item: &str) -> Option<String> {
        self.environment.get(item).cloned()
    }
    fn spam_percent(&self) -> Option<u8> {
        self.spam
    }
    fn virus(&self) -> Option<u8> {
        self.virus
    }
    fn include(&self, location: Location, name: &str) -> Result<Script, IncludeError> {
        let source = self.scripts.get(&(location, name.to_string())).ok_or(IncludeError::Missing)?;
        compile(source.as_bytes(), &Limits::default()).map_err(|d| IncludeError::Invalid(d[0].to_string()))
    }
    fn seen(&self, id: &[u8; 32]) -> bool {
        self.seen.contains(id)
    }
}

/// RFC 5228's two example messages.
pub const MESSAGE_A: &str = "Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)\r\n\
    From: coyote@desert.example.org\r\n\
    To: roadrunner@acme.example.com\r\n\
    Subject: I have a present for you\r\n\
    \r\n\
    Look, I'm sorry about the whole anvil thing, and I really\r\n\
    didn't mean to try and drop it on you from the top of the\r\n\
    cliff.  I want to try to make it up to you.  I've got some\r\n\
    great birdseed over here at my place--top of the line\r\n\
    stuff--and if you come by, I'll have it all wrapped up\r\n\
    for you.  I'm really sorry for all the problems I've caused\r\n\
    for you over the years, but I know we can work this out.\r\n\
    --\r\n\
    Wile E. Coyote   \"Super Genius\"   coyote@desert.example.org\r\n";
pub const MESSAGE_B: &str = "From: youcouldberich!@reply-by-postal-mail.invalid\r\n\
    Sender: b1ff@de.res.example.com\r\n\
    To: rube@landru.example.com\r\n\
    Date:  Mon, 31 Mar 1997 18:26:10 -0800\r\n\
    Subject: $$$ YOU, TOO, CAN BE A MILLIONAIRE! $$$\r\n\
    \r\n\
    YOU MAY HAVE ALREADY WON TEN MILLION DOLLARS, BUT I DOUBT\r\n\
    IT!  SO JUST POST THIS TO SIX HUNDRED NEWSGROUPS!  IT WILL\r\n\
    GUARANTEE THAT YOU GET AT LEAST FIVE RESPONSES WITH MONEY!\r\n\
    MONEY! MONEY! COLD HARD CASH!  YOU WILL RECEIVE OVER\r\n\
    $20,000 IN LESS THAN TWO MONTHS!  AND IT'S LEGAL!!!!!!!!!\r\n\
    !!!!!!!!!!!!!!!!!!111111111!!!!!!!11111111111!!1  JUST\r\n\
    SEND $5 IN SMALL, UNMARKED BILLS TO THE ADDRESSES BELOW!\r\n";

pub fn envelope() -> Envelope {
    Envelope { from: "alice@example.net".into(), to: "bob@example.org".into(), ..Envelope::default() }
}

pub fn good(source: &str) -> Script {
    match compile(source.as_bytes(), &Limits::default()) {
        Ok(script) => script,
        Err(e) => panic!("{}\n{source}", e.iter().map(|d| format!("{d}\n")).collect::<String>()),
    }
}

pub fn outcome_in(source: &str, message: &str, envelope: &Envelope, world: &World) -> Outcome {
    run(&good(source), &Bytes::copy_from_slice(message.as_bytes()), envelope, world, &Limits::default())
}

pub fn outcome(source: &str, message: &str) -> Outcome {
    outcome_in(source, message, &envelope(), &World::default())
}

pub fn sequence(sources: &[&str], message: &str) -> Outcome {
    let scripts: Vec<Script> = sources.iter().map(|s| good(s)).collect();
    let raw = Bytes::copy_from_slice(message.as_bytes());
    run_sequence(&scripts, &raw, &envelope(), &World::default(), &Limits::default())
}

/// Actions as words, joined by `; `; an error in place of them.
pub fn words(outcome: &Outcome) -> String {
    if let Some(error) = &outcome.error {
        return format!("error {error}");
    }
    outcome.actions.iter().map(word).collect::<Vec<_>>().join("; ")
}

fn word(action: &Action) -> String {
    let with = |flags: &[String]| if flags.is_empty() { String::new() } else { format!(" ({})", flags.join(" ")) };
    let copied = |copy: &bool| if *copy { " copy" } else { "" };
    let edited = |m: &Option<Bytes>| if m.is_some() { " edited" } else { "" };
    match action {
        Action::Keep { flags, implicit, message } => {
            format!("keep{}{}{}", if *implicit { " implicit" } else { "" }, with(flags), edited(message))
        }
        Action::FileInto { target, copy, flags, message } => {
            format!("fileinto {}{}{}{}", target.mailbox, copied(copy), with(flags), edited(message))
        }
        Action::Redirect { address, copy, message } => format!("redirect {address}{}{}", copied(copy), edited(message)),
        Action::Reject { reason, ereject } => format!("{} {reason}", if *ereject { "ereject" } else { "reject" }),
        Action::Discard => "discard".into(),
        Action::Vacation(v) => format!("vacation {}", v.to),
        Action::Notify(n) => format!("notify {}", n.to.join(",")),
    }
}

pub fn does(source: &str, message: &str) -> String {
    words(&outcome(source, message))
}

/// Whether a test holds for a message.
pub fn holds_in(require: &str, test: &str, message: &str, envelope: &Envelope, world: &World) -> bool {
    let require = if require.is_empty() { String::new() } else { format!("require [{require}];\n") };
    let source = format!("{require}if {test} {{ discard; }}");
    match words(&outcome_in(&source, message, envelope, world)).as_str() {
        "discard" => true,
        "keep implicit" => false,
        other => panic!("{source}: {other}"),
    }
}

pub fn holds(require: &str, test: &str, message: &str) -> bool {
    holds_in(require, test, message, &envelope(), &World::default())
}

/// The message that the only keep stores.
pub fn kept(outcome: &Outcome) -> String {
    assert_eq!(outcome.error, None);
    let message = outcome.actions.iter().find_map(|a| match a {
        Action::Keep { message, .. } => Some(message.clone()),
        _ => None,
    });
    match message {
        Some(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(None) => "as it came".into(),
        None => panic!("no keep: {outcome:?}"),
    }
}
