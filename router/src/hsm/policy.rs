//! A policy as Zimbra writes it: `message,document:before:-30days has:attachment`.
//!
//! What the query comes to is a [`SearchExpr`], which is all that the rest knows of it.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use zcluster_api::mailbox::{Folder, folders};
use zcluster_api::search::InFolder;
use zcluster_api::volume::check_volume_name;
use zcluster_api::{Error, Result, SearchExpr};
use zcluster_query::Context;

/// The attribute with the policies, a value for each: of the global config, of a COS or of an account.
pub const ATTRIBUTE: &str = "zclusterHsmPolicy";
/// The value of those for whom no policy is to hold.
pub const NONE: &str = "none";
/// Types of items that Zimbra knows; messages are all that is stored here.
const TYPES: [&str; 9] = ["all", "message", "document", "contact", "appointment", "task", "note", "wiki", "chat"];

/// Which bodies go to a volume.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct HsmPolicy {
    /// Where they go.
    #[n(0)]
    pub volume: String,
    /// Of which items.
    #[n(1)]
    pub types: Vec<String>,
    /// Which of these.
    #[n(2)]
    pub query: String,
}

fn bad<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(text.into()))
}

impl HsmPolicy {
    /// From an attribute's value: the volume, a space, the policy.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub fn parse(value: &str) -> Result<HsmPolicy> {
        match value.trim().split_once(' ') {
            Some((volume, policy)) => Self::of(volume, policy),
            None => bad(format!("a volume and a policy are expected: {value:?}")),
        }
    }

    /// A volume's policy, `types:query`.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub fn of(volume: &str, policy: &str) -> Result<HsmPolicy> {
        check_volume_name(volume)?;
        let Some((types, query)) = policy.trim().split_once(':') else {
            return bad(format!("types:query is expected, as message:before:-30days: {policy:?}"));
        };
        let types: Vec<String> = types.split(',').map(|t| t.trim().to_ascii_lowercase()).collect();
        if let Some(unknown) = types.iter().find(|t| !TYPES.contains(&t.as_str())) {
            return bad(format!("unknown type {unknown:?}: there are {}", TYPES.join(", ")));
        }
        let policy = HsmPolicy { volume: volume.into(), types, query: query.trim().into() };
        expr(&policy.query, 0)?;
        Ok(policy)
    }

    /// As an attribute's value.
    pub fn text(&self) -> String {
        format!("{} {}:{}", self.volume, self.types.join(","), self.query)
    }

    /// Whether it is about messages.
    pub fn is_about_messages(&self) -> bool {
        self.types.iter().any(|t| t == "message" || t == "all")
    }
}

/// What a query comes to at a time, Unix milliseconds: Zimbra's grammar (docs/search.md), in UTC. Unlike a user's search it
/// looks into Trash and Junk too.
///
/// # Errors
/// `Invalid`, with what is wrong.
pub(super) fn expr(query: &str, now_ms: i64) -> Result<SearchExpr> {
    if query.trim().is_empty() {
        return Ok(SearchExpr::All);
    }
    let context = Context { now_ms, include_trash: true, include_junk: true, ..Context::default() };
    let parsed = zcluster_query::parse(query, &context);
    parsed.map(|query| query.expr).map_err(|e| Error::Invalid(e.to_string()))
}

/// The expression for the messages of one folder: conditions about folders are decided. A folder that a mailbox does not
/// have holds none of its messages, where for a user's search it would be an error.
pub(super) fn within(expr: &SearchExpr, folder: &Folder, all: &[Folder]) -> SearchExpr {
    let each = |list: &[SearchExpr]| list.iter().map(|e| within(e, folder, all)).collect();
    match expr {
        SearchExpr::And(list) => SearchExpr::And(each(list)),
        SearchExpr::Or(list) => SearchExpr::Or(each(list)),
        SearchExpr::Not(one) => SearchExpr::Not(Box::new(within(one, folder, all))),
        SearchExpr::In(place) => match is_in(place, &folder.path, all) {
            true => SearchExpr::All,
            false => SearchExpr::Not(Box::new(SearchExpr::All)),
        },
        other => other.clone(),
    }
}

fn is_in(place: &InFolder, path: &str, all: &[Folder]) -> bool {
    let begin = match place.id {
        None | Some(folders::USER_ROOT) => String::new(),
        Some(id) => match all.iter().find(|f| f.id == id) {
            Some(folder) => folder.path.to_lowercase(),
            None => return false,
        },
    };
    let rest = place.path.trim_matches('/').to_lowercase();
    let wanted = [begin, rest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let path = path.to_lowercase();
    let below = || wanted.is_empty() || path.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('/'));
    path == wanted || (place.below && below())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zcluster_api::mailbox::FolderView;
    use zcluster_api::{FolderId, ModSeq, Uid};

    const NOW: i64 = 1_800_000_000_000;
    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn zimbras_form() {
        let policy = HsmPolicy::parse("cold message,document:before:-30days has:attachment").unwrap();
        assert_eq!((policy.volume.as_str(), policy.types.len()), ("cold", 2));
        assert!(policy.is_about_messages());
        assert_eq!(HsmPolicy::parse(&policy.text()), Ok(policy.clone()));
        assert!(!HsmPolicy::of("cold", "document:before:-30d").unwrap().is_about_messages());
        let Ok(SearchExpr::And(all)) = expr(&policy.query, NOW) else { panic!("{:?}", expr(&policy.query, NOW)) };
        let days = (29 * DAY_MS)..(32 * DAY_MS);
        let is_before =
            |e: &SearchExpr| matches!(e, SearchExpr::Internal { to_ms, .. } if days.contains(&(NOW - to_ms)));
        assert!(
            all.iter().any(is_before) && all.contains(&SearchExpr::Flags(zcluster_api::Flags::ATTACHED)),
            "{all:?}"
        );
        assert_eq!(expr("", NOW), Ok(SearchExpr::All));
        assert_eq!(expr("larger:10KB", NOW), Ok(SearchExpr::Larger(10_240)), "Trash is not left out");
        for (value, part) in [
            ("cold", "a volume and a policy"),
            ("COLD message:", "volume's name"),
            ("cold before:-30days", "unknown type"),
            ("cold message", "types:query"),
            ("cold message:is:purple", "purple"),
            ("cold message:in:\"a", "quotation mark"),
        ] {
            let error = HsmPolicy::parse(value).unwrap_err().to_string();
            assert!(error.contains(part), "{value}: {error}");
        }
    }

    fn folder(id: u32, path: &str) -> Folder {
        Folder {
            id: FolderId(id),
            parent: folders::USER_ROOT,
            path: path.into(),
            view: FolderView::Message,
            special_use: None,
            subscribed: false,
            uid_validity: 1,
            uid_next: Uid(1),
            messages: 1,
            unread: 0,
            deleted: 0,
            bytes: 0,
            highest_modseq: ModSeq(1),
            recent_from: Uid(1),
            rights: None,
        }
    }

    #[test]
    fn folders_are_decided_folder_by_folder() {
        let all = [folder(2, "Inbox"), folder(300, "Archive"), folder(301, "Archive/2026"), folder(302, "Archived")];
        let (yes, no) = (SearchExpr::All, SearchExpr::Not(Box::new(SearchExpr::All)));
        let of = |query: &str, at: usize| within(&expr(query, NOW).unwrap(), &all[at], &all);
        for (query, at, want) in [
            ("in:archive", 1, &yes),
            ("in:Archive", 2, &no),
            ("under:Archive", 2, &yes),
            ("under:Archive", 3, &no),
            ("in:\"archive/2026\"", 2, &yes),
            ("in:inbox", 0, &yes),
            ("in:inbox", 1, &no),
            ("in:\"no such\"", 1, &no),
        ] {
            assert_eq!(of(query, at), *want, "{query} {}", all[at].path);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,60}", spiced in "(-|before:|size:|larger:|in:|\"|[0-9a-z<> ]){0,12}") {
            let _ = HsmPolicy::parse(&text);
            let _ = HsmPolicy::parse(&format!("v message:{spiced}"));
        }
    }
}
