//! Searches for words with an index of texts, against searches without one: while the index lags, across crashes that lose
//! rows or what was not committed, across snapshots, and when it is damaged.

use crate::support::*;
use proptest::prelude::*;
use std::sync::Arc;
use zcluster_api::find::{Find, FindOrder};
use zcluster_api::*;
use zcluster_raft::{Applied, Fatal, StateMachine};
use zcluster_replica::{MemoryEngine, MemoryTexts, Replicas};

fn words(text: &str, prefix: bool) -> SearchExpr {
    SearchExpr::Words(Words { fields: vec![TextField::Content], text: text.into(), prefix, suffix: false })
}

fn find(expr: SearchExpr, dumpster: Option<u64>) -> MailboxQuery {
    let order = FindOrder { descending: false, ..FindOrder::default() };
    MailboxQuery::Find(Find {
        expr,
        order,
        conversations: false,
        after: None,
        offset: 0,
        limit: 1_000,
        deleted: false,
        dumpster,
    })
}

async fn items(replicas: &Arc<Replicas>, expr: SearchExpr) -> Vec<u32> {
    found(replicas, expr, None).await
}

async fn found(replicas: &Arc<Replicas>, expr: SearchExpr, dumpster: Option<u64>) -> Vec<u32> {
    match ask(replicas, find(expr, dumpster)).await {
        Ok(MailboxReply::Hits { hits, .. }) => hits.into_iter().map(|hit| hit.item.0).collect(),
        other => panic!("{other:?}"),
    }
}

/// Opened as a node opens them; every search is made twice, with the index and without.
fn open(engine: &Arc<MemoryEngine>, texts: &MemoryTexts) -> Arc<Replicas> {
    let replicas = Replicas::with_engine(engine.clone(), Fatal::new()).unwrap();
    replicas.set_texts(Arc::new(texts.clone()), None).unwrap();
    replicas.doubt_indexes();
    replicas
}

async fn check(replicas: &Arc<Replicas>, upto: usize) {
    if upto < 4 {
        return;
    }
    // The log's messages are called after their places in it.
    let all = items(replicas, SearchExpr::All).await;
    assert_eq!(items(replicas, words("DULL boy", false)).await, all);
    assert_eq!(items(replicas, words("day", true)).await, all);
    for n in [upto - 1, upto / 2, 3] {
        let some = items(replicas, words(&format!("day {n}"), false)).await;
        assert!(some.len() <= 1 && some.iter().all(|item| all.contains(item)));
    }
    // What was deleted is found where it is now, and nowhere else.
    let deleted = found(replicas, SearchExpr::All, Some(0)).await;
    assert_eq!(found(replicas, words("DULL boy", false), Some(0)).await, deleted);
    assert!(deleted.iter().all(|item| !all.contains(item)));
    let prefix = items(replicas, words("day 1", true)).await;
    let either = SearchExpr::Or(vec![words("day 1", true), SearchExpr::Not(Box::new(words("dull", false)))]);
    assert_eq!(items(replicas, either).await, prefix);
}

#[derive(Clone, Debug)]
enum Step {
    Apply(usize),
    Pass,
    Flush,
    /// The process ends and comes back; rows that were not flushed are gone.
    Crash,
    /// All texts are thrown away, as after damage.
    Lose,
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..30usize).prop_map(Step::Apply),
        3 => Just(Step::Pass),
        1 => Just(Step::Flush),
        1 => Just(Step::Crash),
        1 => Just(Step::Lose),
        3 => Just(Step::Check),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn the_index_changes_nothing_but_the_time(steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (engine, texts) = (MemoryEngine::new(), MemoryTexts::default());
            let mut replicas = open(&engine, &texts);
            let mut machine = replicas.machine(GROUP).unwrap();
            let log = log(400);
            let mut at = 0;
            for step in steps {
                match step {
                    Step::Apply(n) => {
                        let to = (at + n).min(log.len());
                        apply(&mut machine, &log[at..to]);
                        at = to;
                    }
                    Step::Pass => replicas.index_texts(GROUP).await.unwrap(),
                    Step::Flush => replicas.flush().unwrap(),
                    Step::Crash => {
                        drop(machine);
                        drop(replicas);
                        engine.crash();
                        replicas = open(&engine, &texts);
                        machine = replicas.machine(GROUP).unwrap();
                        let from = machine.applied().unwrap().last.map_or(0, |last| last.index as usize + 1);
                        apply(&mut machine, &log[from..at]);
                    }
                    Step::Lose => {
                        use zcluster_api::text::TextIndexes;
                        texts.open(GROUP).unwrap().reset().unwrap();
                    }
                    Step::Check => check(&replicas, at).await,
                }
            }
            replicas.index_texts(GROUP).await.unwrap();
            replicas.index_texts(GROUP).await.unwrap();
            check(&replicas, at).await;
            let state = replicas.text_state(GROUP).unwrap().unwrap();
            prop_assert_eq!((state.behind, state.trouble), (0, None));
            // What was deleted stays indexed.
            let (mut all, everything) = (0, || SearchExpr::All);
            if at >= 4 {
                all += items(&replicas, everything()).await.len() as u64;
                all += found(&replicas, everything(), Some(0)).await.len() as u64;
            }
            prop_assert_eq!((state.items, state.building), (all, (at == 0).then_some(0)));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_snapshot_is_compared_with_the_index_and_not_indexed_anew() {
    let log = log(300);
    let from = Replicas::with_engine(MemoryEngine::new(), Fatal::new()).unwrap();
    let mut sender = from.machine(GROUP).unwrap();
    apply(&mut sender, &log);
    let source = sender.snapshot().unwrap();

    let texts = MemoryTexts::default();
    let replicas = open(&MemoryEngine::new(), &texts);
    let mut machine = replicas.machine(GROUP).unwrap();
    apply(&mut machine, &log[..100]);
    replicas.index_texts(GROUP).await.unwrap();
    let before = replicas.text_state(GROUP).unwrap().unwrap();
    assert!(before.items > 70 && before.building.is_none());

    let mut sink = machine.begin_install(source.manifest()).unwrap();
    let mut n = 0;
    while let Some(chunk) = source.chunk(n).unwrap() {
        sink.put(n, chunk).unwrap();
        n += 1;
    }
    machine.finish_install(sink, Applied::clone(&source.applied())).unwrap();
    // The index is of other rows now: searches do without.
    check(&replicas, 300).await;
    replicas.index_texts(GROUP).await.unwrap();
    check(&replicas, 300).await;
    let mut all = items(&replicas, SearchExpr::All).await;
    // What was deleted stays indexed.
    all.extend(found(&replicas, SearchExpr::All, Some(0)).await);
    let after = replicas.text_state(GROUP).unwrap().unwrap();
    assert_eq!((after.items, after.building), (all.len() as u64, None));
    // Expunged meanwhile, and gone from the index.
    assert!(after.items > before.items);
}

#[tokio::test]
async fn a_mailbox_is_indexed_anew_and_a_group_goes_with_its_index() {
    use zcluster_api::text::TextIndexes;
    let texts = MemoryTexts::default();
    let replicas = open(&MemoryEngine::new(), &texts);
    let mut machine = replicas.machine(GROUP).unwrap();
    apply(&mut machine, &log(60));
    replicas.index_texts(GROUP).await.unwrap();
    let view = texts.open(GROUP).unwrap().view();
    let items = view.items(BOX).unwrap();
    assert!(items.len() > 40);
    // Somebody took a message out of the index.
    let index = texts.open(GROUP).unwrap();
    index.remove(BOX, &[ItemId(items.iter().next().unwrap())]).unwrap();
    index.commit(view.mark()).unwrap();
    replicas.reindex(GROUP, BOX).unwrap();
    replicas.index_texts(GROUP).await.unwrap();
    assert_eq!(index.view().items(BOX).unwrap(), items);
    drop(machine);
    replicas.remove(GROUP).unwrap();
    assert!(texts.on_disk().unwrap().is_empty());
    assert!(replicas.reindex(GROUP, BOX).is_ok(), "the group may come back");
}

#[tokio::test]
async fn a_node_without_indexes_says_so_and_one_that_gets_them_indexes_all() {
    let engine = MemoryEngine::new();
    let replicas = Replicas::with_engine(engine.clone(), Fatal::new()).unwrap();
    let mut machine: Box<dyn StateMachine> = replicas.machine(GROUP).unwrap();
    apply(&mut machine, &log(50));
    assert!(matches!(ask(&replicas, find(words("x", false), None)).await, Err(Error::Invalid(_))));
    assert!(replicas.index_texts(GROUP).await.is_err() && replicas.text_state(GROUP).unwrap().is_none());
    replicas.flush().unwrap();
    drop((machine, replicas));
    let replicas = open(&engine, &MemoryTexts::default());
    let mut machine = replicas.machine(GROUP).unwrap();
    replicas.index_texts(GROUP).await.unwrap();
    apply(&mut machine, &log(80)[50..]);
    check(&replicas, 80).await;
    replicas.index_texts(GROUP).await.unwrap();
    check(&replicas, 80).await;
    assert_eq!(replicas.text_state(GROUP).unwrap().unwrap().behind, 0);
}
