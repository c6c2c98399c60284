//! `zcluster queue`: the messages that wait to leave, of the whole cluster; postqueue(1) and postsuper(1).

use crate::admin::client::Client;
use crate::admin::queue::{Action, QueueAnswer, QueueItem, QueueRequest, QueueShown, QueueTotals, Which};
use crate::cli::{Queue, QueueAct, QueueCommand, QueueFilterArgs, QueueList, Reach};
use anyhow::{Result, bail};
use comfy_table::Table;
use zcluster_runtime::wall_ms;

/// Messages asked for at a time.
const PER_CALL: usize = 200;
/// Recipients named in a line.
const NAMED_MAX: usize = 3;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Queue) -> Result<()> {
    match args.command {
        QueueCommand::List(args) => list(args).await,
        QueueCommand::Show { id, reach, json } => show(id, &reach, json).await,
        QueueCommand::Retry(args) => act(args, Action::Retry, "to be tried now").await,
        QueueCommand::Hold(args) => act(args, Action::Hold, "held").await,
        QueueCommand::Release(args) => act(args, Action::Release, "released").await,
        QueueCommand::Delete(args) => act(args, Action::Delete, "deleted").await,
        QueueCommand::Summary { reach, json } => summary(&reach, json).await,
    }
}

fn which(filter: &QueueFilterArgs, id: Option<String>) -> Which {
    Which {
        id,
        sender: filter.sender.clone(),
        recipient: filter.recipient.clone(),
        domain: filter.domain.clone(),
        held: filter.held.then_some(true),
    }
}

async fn list(args: QueueList) -> Result<()> {
    let client = Client::new(&args.reach)?;
    let (mut items, mut after, mut more) = (Vec::new(), None, false);
    loop {
        let limit = PER_CALL.min(args.limit - items.len());
        let request = QueueRequest { which: which(&args.filter, None), after, limit, action: None };
        let answer: QueueAnswer = client.post("/v1/queue/list", &request).await?;
        items.extend(answer.items);
        match answer.next {
            Some(_) if items.len() >= args.limit => {
                more = true;
                break;
            }
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if args.json {
        println!("{}", serde_json::to_string(&items)?);
        return Ok(());
    }
    let now = wall_ms();
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["id", "age", "size", "kind", "sender", "recipients", "next", "tries", "last"]);
    for item in &items {
        table.add_row([
            item.id.clone(),
            span(now.saturating_sub(item.queued_ms)),
            item.size.to_string(),
            item.kind.clone(),
            sender(item),
            recipients(item),
            item.due_ms.map_or("held".into(), |due| span(due.saturating_sub(now))),
            item.attempts.to_string(),
            item.note.clone(),
        ]);
    }
    println!("{table}");
    println!("{}{} waiting", items.len(), if more { " shown, more" } else { "" });
    Ok(())
}

fn sender(item: &QueueItem) -> String {
    if item.sender.is_empty() { "<>".into() } else { item.sender.clone() }
}

fn recipients(item: &QueueItem) -> String {
    let mut shown: Vec<String> = item.recipients.iter().take(NAMED_MAX).cloned().collect();
    if item.recipients.len() > NAMED_MAX {
        shown.push(format!("{} more", item.recipients.len() - NAMED_MAX));
    }
    shown.join(" ")
}

/// A time span as people say it.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

async fn show(id: String, reach: &Reach, json: bool) -> Result<()> {
    let which = Which { id: Some(id), ..Which::default() };
    let shown: QueueShown = Client::new(reach)?.post("/v1/queue/show", &which).await?;
    if json {
        println!("{}", serde_json::to_string(&shown)?);
        return Ok(());
    }
    let (item, now) = (&shown.item, wall_ms());
    println!("id:         {}", item.id);
    println!("kind:       {}", item.kind);
    println!("mailbox:    {}", item.mailbox.map_or("none".into(), |m| m.to_string()));
    println!("sender:     {}", sender(item));
    for recipient in &item.recipients {
        println!("recipient:  {recipient}");
    }
    println!("size:       {}", item.size);
    println!("age:        {}", span(now.saturating_sub(item.queued_ms)));
    println!("next try:   {}", item.due_ms.map_or("held".into(), |d| format!("in {}", span(d.saturating_sub(now)))));
    println!("tries:      {}", item.attempts);
    println!("last:       {}", item.note);
    println!("asks for:   {}", item.asked.join(" "));
    println!("\n{}", shown.header.replace("\r\n", "\n"));
    Ok(())
}

async fn act(args: QueueAct, action: Action, words: &str) -> Result<()> {
    let filter = &args.filter;
    let filtered = filter.sender.is_some() || filter.recipient.is_some() || filter.domain.is_some() || filter.held;
    if args.ids.is_empty() && !filtered && !args.all {
        bail!("say which messages: ids, --sender, --recipient, --domain, --held, or --all");
    }
    let client = Client::new(&args.reach)?;
    let ids: Vec<Option<String>> =
        if args.ids.is_empty() { vec![None] } else { args.ids.iter().cloned().map(Some).collect() };
    let mut done = Vec::new();
    for id in ids {
        let (mut after, before) = (None, done.len());
        loop {
            let request =
                QueueRequest { which: which(filter, id.clone()), after, limit: PER_CALL, action: Some(action) };
            let answer: QueueAnswer = client.post("/v1/queue/act", &request).await?;
            done.extend(answer.items.into_iter().map(|item| item.id));
            match answer.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if let Some(id) = id
            && done.len() == before
        {
            bail!("no message {id} is waiting{}", if filtered { " that fits" } else { "" });
        }
    }
    if args.json {
        println!("{}", serde_json::to_string(&done)?);
    } else {
        println!("{} {words}", done.len());
    }
    Ok(())
}

async fn summary(reach: &Reach, json: bool) -> Result<()> {
    let totals: QueueTotals = Client::new(reach)?.get("/v1/queue/summary").await?;
    if json {
        println!("{}", serde_json::to_string(&totals)?);
        return Ok(());
    }
    let now = wall_ms();
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["destination", "messages", "recipients", "bytes", "held", "tried before", "oldest"]);
    for d in totals.destinations.iter().chain([&totals.total]) {
        let name = if d.domain.is_empty() { "total" } else { &d.domain };
        let oldest = if d.messages == 0 { "-".into() } else { span(now.saturating_sub(d.oldest_ms)) };
        let numbers = [d.messages, d.recipients, d.bytes, d.held, d.deferred].map(|n| n.to_string());
        table.add_row([name.to_string()].into_iter().chain(numbers).chain([oldest]));
    }
    println!("{table}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans() {
        assert_eq!([span(5_000), span(600_000), span(36_000_000), span(400_000_000)], ["5 s", "10 min", "10 h", "4 d"]);
    }
}
