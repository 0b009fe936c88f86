//! What is kept, bounded, and shared with other windows.

use super::super::tests::turn;
use super::*;

fn conversation(id: &str, words: &[&str]) -> Conversation {
    let mut conversation = Conversation {
        id: id.into(),
        turns: words.iter().map(|words| turn(words, "answer")).collect(),
        ..Conversation::new()
    };
    conversation.touch();
    conversation
}

#[tokio::test]
async fn what_was_kept_is_there_for_the_next_process() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("a/b");
    let first = conversation("first", &["  \n Where is\nit?"]);
    let disk = Disk::new(Some(folder.clone()));
    assert_eq!(disk.load("first").await.unwrap(), None);
    disk.empty(&first).await.unwrap();
    disk.empty(&conversation("second", &["b", "c"]))
        .await
        .unwrap();
    let again = Disk::new(Some(folder.clone()));
    // The order of one disk's operations holds; the second disk only reads what the first has done.
    assert_eq!(disk.list().await.unwrap().len(), 2);
    assert_eq!(again.load("first").await.unwrap(), Some(first));
    let titles: Vec<_> = again.list().await.unwrap();
    assert!(titles.iter().any(|l| l.title == "Where is" && l.turns == 1));
    assert_eq!(again.delete(Some("first")).await.unwrap(), 1);
    assert_eq!(again.delete(Some("first")).await.unwrap(), 0);
    assert_eq!(again.delete(Some("../a")).await.unwrap(), 0);
    assert_eq!(again.delete(None).await.unwrap(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may read it");
    }
}

#[tokio::test]
async fn a_broken_file_is_said_and_hides_no_other() {
    let home = tempfile::tempdir().unwrap();
    let disk = Disk::new(Some(home.path().to_owned()));
    std::fs::write(home.path().join("bad.json"), "{").unwrap();
    disk.empty(&conversation("good", &["a"])).await.unwrap();
    assert_eq!(disk.list().await.unwrap().len(), 1);
    let error = disk.load("bad").await.unwrap_err().to_string();
    assert!(error.contains("bad.json is not a conversation"), "{error}");
}

#[test]
fn it_is_bounded() {
    let home = tempfile::tempdir().unwrap();
    for n in 0..MOST_CONVERSATIONS + 3 {
        save(home.path(), conversation(&format!("c{n:04}"), &["a"])).unwrap();
    }
    assert_eq!(files(home.path()).unwrap().len(), MOST_CONVERSATIONS);

    let mut large = conversation("large", &["first", "second", "third"]);
    let picture = super::super::conversation::Picture {
        mime: "image/png".into(),
        base64: "A".repeat(MOST_BYTES / 2),
    };
    for turn in &mut large.turns {
        turn.images.push(picture.clone());
    }
    large.turns[1].answer = "long ".repeat(MOST_BYTES / 10);
    save(home.path(), large).unwrap();
    let kept = load(&file_of(home.path(), "large")).unwrap().unwrap();
    let said: Vec<_> = kept.turns.iter().map(|turn| &turn.message).collect();
    assert_eq!(said, ["first", "third"]);
    assert!(kept.turns[0].images.is_empty() && !kept.turns[1].images.is_empty());
}

#[tokio::test]
async fn without_a_folder_nothing_is_kept() {
    let disk = Disk::new(None);
    let begun = disk.begin(Opened::new(), turn("a", "")).await.unwrap();
    assert_eq!(begun.unwrap().turns.len(), 1);
    assert!(disk.end("a".into(), turn("a", "b")).await.unwrap());
    assert_eq!(disk.load("a").await.unwrap(), None);
}

fn said(conversation: &Conversation) -> Vec<(&str, &str)> {
    let turns = conversation.turns.iter();
    turns.map(|t| (&*t.message, &*t.answer)).collect()
}

#[tokio::test]
async fn two_windows_lose_nothing_of_each_other() {
    let home = tempfile::tempdir().unwrap();
    let disk = || Disk::new(Some(home.path().to_owned()));
    let (one, other) = (disk(), disk());
    let begun = one.begin(Opened::new(), turn("a", "A")).await.unwrap();
    let id = begun.unwrap().id;
    let opened = |disk: &Disk| {
        let (disk, id) = (disk.clone(), id.clone());
        async move { Opened::of(disk.load(&id).await.unwrap().unwrap()) }
    };
    // Both had it open before either asked, and the first to ask is the last to be answered.
    let (first, second) = (opened(&one).await, opened(&other).await);
    let (mut b, mut c) = (turn("b", ""), turn("c", ""));
    one.begin(first, b.clone()).await.unwrap().unwrap();
    let whole = other.begin(second, c.clone()).await.unwrap().unwrap();
    assert_eq!(said(&whole), [("a", "A"), ("b", ""), ("c", "")]);
    c.answer = "C".into();
    assert!(other.end(id.clone(), c).await.unwrap());
    b.answer = "B".into();
    assert!(one.end(id.clone(), b.clone()).await.unwrap());
    let whole = one.load(&id).await.unwrap().unwrap();
    assert_eq!(said(&whole), [("a", "A"), ("b", "B"), ("c", "C")]);

    // Asked anew from a state that is not there any more: refused.
    let mut anew = opened(&one).await;
    anew.conversation.turns.truncate(1);
    let more = opened(&other).await;
    other.begin(more, turn("d", "D")).await.unwrap().unwrap();
    assert_eq!(one.begin(anew, turn("b2", "")).await.unwrap(), None);
    // From the state that is: what came after goes, and its answer does not bring it back.
    let mut anew = opened(&one).await;
    anew.conversation.turns.truncate(1);
    one.begin(anew, turn("b2", "")).await.unwrap().unwrap();
    assert!(!other.end(id.clone(), b).await.unwrap());
    let whole = one.load(&id).await.unwrap().unwrap();
    assert_eq!(said(&whole), [("a", "A"), ("b2", "")]);

    // Deleted meanwhile: not made again.
    let gone = opened(&one).await;
    other.delete(Some(&id)).await.unwrap();
    assert_eq!(one.begin(gone, turn("e", "")).await.unwrap(), None);
    assert_eq!(one.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn turns_without_names_get_the_same_ones_each_time() {
    let home = tempfile::tempdir().unwrap();
    let old = serde_json::json!({ "id": "old", "title": "", "updatedMs": 1, "turns": [
        { "message": "a", "answer": "A", "state": "answered", "role": "chat", "model": "",
          "backend": "", "references": [] },
    ]});
    std::fs::write(home.path().join("old.json"), old.to_string()).unwrap();
    let disk = Disk::new(Some(home.path().to_owned()));
    let opened = Opened::of(disk.load("old").await.unwrap().unwrap());
    let begun = disk.begin(opened, turn("b", "")).await.unwrap().unwrap();
    assert_eq!(said(&begun), [("a", "A"), ("b", "")]);
}
