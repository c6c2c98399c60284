//! What each command does, one file per verb.

mod acl;
pub mod annotations;
mod append;
mod authenticate;
pub mod capability;
mod compress;
mod copy;
mod create;
mod delete;
mod enable;
mod expunge;
mod fetch;
mod id;
pub mod idle;
mod list;
mod login;
mod lsub;
mod metadata;
mod names;
mod noop;
pub mod notify;
mod quota;
mod rename;
mod replace;
mod search;
mod select;
mod shared;
mod starttls;
mod status;
mod store;
mod subscribe;
mod thread;
mod transfer;
mod uid_only;
mod url_auth;
mod urls;

pub use search::Context;

use crate::codec::command::Request;
use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;
use crate::session::named::OTHERS;

/// Carries a command out. Each one's future is boxed, so that the smallest costs no more than it needs.
pub async fn run(s: &mut Session, tag: &str, request: Request) -> Answer {
    if !request.reads_on() {
        check_state(s, &request)?;
    }
    uid_only::check(s, &request)?;
    match request {
        Request::Capability => Ok(capability::capability(s)),
        Request::Noop => Box::pin(noop::noop(s, "NOOP completed")).await,
        Request::Check => Box::pin(noop::noop(s, "CHECK completed")).await,
        Request::Logout => Ok(logout(s)),
        Request::StartTls => Box::pin(starttls::starttls(s, tag)).await,
        Request::Id(fields) => Ok(id::id(s, &fields)),
        Request::Authenticate { mechanism, initial } => {
            Box::pin(authenticate::authenticate(s, &mechanism, initial)).await
        }
        Request::Login { user, password } => Box::pin(login::login(s, user, password)).await,
        Request::Enable(names) => Box::pin(enable::enable(s, &names)).await,
        Request::Namespace => Ok(namespace(s)),
        Request::List(list) => Box::pin(list::list(s, &list)).await,
        Request::Lsub { reference, pattern } => Box::pin(lsub::lsub(s, &reference, &pattern)).await,
        Request::Status { mailbox, items } => Box::pin(status::status(s, &mailbox, items)).await,
        Request::Select { mailbox, read_only, condstore, qresync } => {
            Box::pin(select::select(s, &mailbox, read_only, condstore, qresync.as_deref())).await
        }
        Request::Unselect => Box::pin(select::unselect(s)).await,
        Request::Close => Box::pin(select::close(s, tag)).await,
        Request::Create { mailbox, special_use } => Box::pin(create::create(s, &mailbox, special_use)).await,
        Request::Delete(mailbox) => Box::pin(delete::delete(s, &mailbox)).await,
        Request::Rename { from, to } => Box::pin(rename::rename(s, &from, &to)).await,
        Request::Subscribe(mailbox) => Box::pin(subscribe::subscribe(s, &mailbox, true)).await,
        Request::Unsubscribe(mailbox) => Box::pin(subscribe::subscribe(s, &mailbox, false)).await,
        Request::Append(append) => Box::pin(append::append(s, append)).await,
        Request::Replace(replace) => Box::pin(replace::replace(s, *replace)).await,
        Request::Compress(mechanism) => Box::pin(compress::compress(s, tag, &mechanism)).await,
        Request::GenUrlAuth(pairs) => Box::pin(url_auth::gen_url_auth(s, &pairs)).await,
        Request::UrlFetch(urls) => Box::pin(url_auth::url_fetch(s, &urls)).await,
        Request::ResetKey { mailbox, mechanisms } => {
            Box::pin(url_auth::reset_key(s, mailbox.as_deref(), &mechanisms)).await
        }
        Request::SetQuota(root) => quota::set_quota(&root),
        Request::Fetch(fetch) => Box::pin(fetch::fetch(s, &fetch)).await,
        Request::Store(store) => Box::pin(store::store(s, tag, &store)).await,
        Request::Copy { uid, set, mailbox, moving } => {
            Box::pin(copy::copy(s, tag, (uid, &set), &mailbox, moving)).await
        }
        Request::Expunge(set) => Box::pin(expunge::expunge(s, tag, set.as_ref())).await,
        Request::Search(search) => Box::pin(search::search(s, tag, &search)).await,
        Request::MultiSearch(multi) => Box::pin(search::esearch(s, tag, &multi)).await,
        Request::Thread(thread) => Box::pin(thread::thread(s, tag, &thread)).await,
        Request::CancelUpdate(tags) => search::cancel_update(s, &tags),
        Request::Idle => Box::pin(idle::idle(s)).await,
        Request::Notify(wish) => Box::pin(notify::notify(s, wish.map(|w| *w))).await,
        Request::GetQuota(root) => Box::pin(quota::get_quota(s, &root)).await,
        Request::GetQuotaRoot(mailbox) => Box::pin(quota::get_quota_root(s, &mailbox)).await,
        Request::SetAcl { mailbox, identifier, change } => {
            Box::pin(acl::set_acl(s, &mailbox, &identifier, change)).await
        }
        Request::DeleteAcl { mailbox, identifier } => Box::pin(acl::delete_acl(s, &mailbox, &identifier)).await,
        Request::GetAcl(mailbox) => Box::pin(acl::get_acl(s, &mailbox)).await,
        Request::ListRights { mailbox, identifier } => Box::pin(acl::list_rights(s, &mailbox, &identifier)).await,
        Request::MyRights(mailbox) => Box::pin(acl::my_rights(s, &mailbox)).await,
        Request::GetMetadata(get) => Box::pin(metadata::get_metadata(s, &get)).await,
        Request::SetMetadata(set) => Box::pin(metadata::set_metadata(s, *set)).await,
    }
}

/// The states of RFC 3501 §3 in which a command makes sense.
fn check_state(s: &Session, request: &Request) -> Result<(), Failure> {
    match request {
        Request::Capability | Request::Noop | Request::Logout | Request::Id(_) => Ok(()),
        Request::StartTls | Request::Authenticate { .. } | Request::Login { .. } => {
            if s.user.is_some() {
                Err(Failure::bad("already signed in"))
            } else {
                Ok(())
            }
        }
        Request::Unselect
        | Request::Close
        | Request::Check
        | Request::Fetch(_)
        | Request::Store(_)
        | Request::Copy { .. }
        | Request::Expunge(_)
        | Request::Replace(_)
        | Request::Search(_)
        | Request::Thread(_)
        | Request::CancelUpdate(_) => s.mailbox().and(s.view()).map(|_| ()),
        Request::Enable(_)
        | Request::Namespace
        | Request::List(_)
        | Request::Lsub { .. }
        | Request::Status { .. }
        | Request::Select { .. }
        | Request::Create { .. }
        | Request::Delete(_)
        | Request::Rename { .. }
        | Request::Subscribe(_)
        | Request::Unsubscribe(_)
        | Request::Append(_)
        | Request::Compress(_)
        | Request::GenUrlAuth(_)
        | Request::UrlFetch(_)
        | Request::ResetKey { .. }
        | Request::MultiSearch(_)
        | Request::SetQuota(_)
        | Request::Idle
        | Request::Notify(_)
        | Request::GetQuota(_)
        | Request::GetQuotaRoot(_)
        | Request::SetAcl { .. }
        | Request::DeleteAcl { .. }
        | Request::GetAcl(_)
        | Request::ListRights { .. }
        | Request::MyRights(_)
        | Request::GetMetadata(_)
        | Request::SetMetadata(_) => s.mailbox().map(|_| ()),
    }
}

/// LOGOUT: BYE before the tagged OK (RFC 3501 §6.1.3).
fn logout(s: &mut Session) -> Reply {
    s.leaving = true;
    s.line(format_args!("* BYE see you"));
    Reply::Ok("LOGOUT completed".into())
}

/// NAMESPACE: personal mailboxes and other users', `/` between names (RFC 2342 §5).
fn namespace(s: &mut Session) -> Reply {
    s.line(format_args!("* NAMESPACE ((\"\" \"/\")) ((\"{OTHERS}\" \"/\")) NIL"));
    Reply::Ok("NAMESPACE completed".into())
}
