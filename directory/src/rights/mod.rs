//! Rights as Zimbra has them: who may what on which entries.
//!
//! | file | what |
//! |---|---|
//! | `ace` | one grant, as `zimbraACE` holds it |
//! | `table`, `rights.tsv` | what rights there are |
//! | `decide` | whether grants give somebody what he needs |
//! | `gather` | the grants over an entry; by what they may mean somebody |
//! | `changes` | what making and changing entries needs |
//! | `grants` | granting, revoking, telling |
//! | `delegate` | whether somebody may pass a right on |
//! | `effective` | all that somebody may |

mod ace;
mod changes;
mod decide;
mod delegate;
mod effective;
mod gather;
mod grants;
mod table;

pub use ace::{ALL, Ace, GranteeKind, Modifier, PUBLIC};
pub use decide::{Applied, Level, Verdict, Who};
pub use effective::{Allowed, EffectiveRights, Reach};
pub(crate) use gather::Upper;
pub use grants::{Answer, Class, Grant};
pub use table::{Attrs, Body, Inline, Right, Want, all, covers, find, inline, leaves, scope, target_kind, target_word};

use zcluster_api::directory::{Object, ObjectKind};

/// An account that asks, with what is looked up once for all that it asks.
pub(crate) struct Asker {
    pub account: Object,
    pub who: Who,
    pub upper: Upper,
}

/// The word in the names of rights on this kind; none: such entries are for global administrators.
pub(crate) fn noun(kind: ObjectKind) -> Option<&'static str> {
    Some(match kind {
        ObjectKind::Account => "Account",
        ObjectKind::Resource => "CalendarResource",
        ObjectKind::DistributionList => "DistributionList",
        ObjectKind::DynamicGroup => "Group",
        ObjectKind::Domain => "Domain",
        ObjectKind::Cos => "Cos",
        ObjectKind::Server => "Server",
        ObjectKind::AlwaysOnCluster => "AlwaysOnCluster",
        ObjectKind::UcService => "UCService",
        ObjectKind::XmppComponent => "XMPPComponent",
        ObjectKind::Zimlet => "Zimlet",
        _ => return None,
    })
}
