//! The store without a network.

use super::*;

/// SHA-256 of `abc`, from FIPS 180-2.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn abc() -> Model {
    Model {
        size_bytes: 3,
        sha256: ABC,
        sources: &[],
        ..MODELS[0]
    }
}

#[test]
fn the_directory_follows_the_environment() {
    let system = || Some(PathBuf::from("/home/x/.cache"));
    for (own, system, expect) in [
        (None, system(), Some("/home/x/.cache/ghostline/models")),
        (Some(""), system(), Some("/home/x/.cache/ghostline/models")),
        (Some("/big"), system(), Some("/big/models")),
        (Some("/big"), None, Some("/big/models")),
        (None, None, None),
    ] {
        assert_eq!(
            default_dir(own.map(OsString::from), system),
            expect.map(PathBuf::from)
        );
    }
    assert!(
        default_dir(Some("here".into()), None)
            .unwrap()
            .is_absolute()
    );
}

#[tokio::test]
async fn only_the_right_size_is_installed_and_only_the_right_bytes_are_sound() {
    let dir = tempfile::tempdir().unwrap();
    let (store, model) = (Store::at(dir.path()), abc());
    let path = store.path_for(&model);
    for (bytes, installed, sound) in [
        (&b"ab"[..], false, false),
        (b"abcd", false, false),
        (b"abx", true, false),
        (b"abc", true, true),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(store.path_of(&model).is_some(), installed, "{bytes:?}");
        let verified = verify(&store, &model, &|_: Event<'_>| {}).await;
        match verified {
            Ok(found) => assert!(sound && found == path, "{bytes:?}"),
            Err(ModelsError::Damaged { .. }) => assert!(installed && !sound, "{bytes:?}"),
            Err(ModelsError::Missing { .. }) => assert!(!installed, "{bytes:?}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn removing_takes_everything_but_what_is_being_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let (store, model) = (Store::at(dir.path().join("models")), abc());
    assert!(matches!(
        store.remove(&model),
        Err(ModelsError::Missing { .. })
    ));
    store.create().unwrap();
    fs::write(store.path_for(&model), "abc").unwrap();
    fs::write(store.part_path(&model), "ab").unwrap();
    fs::create_dir(store.scratch_dir(&model)).unwrap();
    let lock = Lock::try_take(&store.lock_path(&model)).unwrap().unwrap();
    assert!(matches!(
        store.remove(&model),
        Err(ModelsError::Busy { .. })
    ));
    drop(lock);
    assert_eq!(store.remove(&model).unwrap(), 5);
    let left: Vec<_> = fs::read_dir(store.dir())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(left, [store.lock_path(&model)]);
    assert!(matches!(
        store.remove(&model),
        Err(ModelsError::Missing { .. })
    ));
}
