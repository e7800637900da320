//! Whatever happens to the file, what was saved last is what comes back, or nothing.

use proptest::{collection::vec, option, prelude::*};
use watcher_core::{Mono, Pid, ProcId, Rare, RarelySaved, StartTicks, Wall, fleet::StallStatus};

use super::*;

const BOOT: &str = "11111111-2222-3333-4444-555555555555";

fn open(path: &Path) -> (Store, Vec<SavedEntry>, Option<String>) {
    Store::open(path.to_owned(), BOOT.to_owned()).unwrap()
}

fn entry(text: &[u8], retry_count: u32) -> SavedEntry {
    SavedEntry {
        text: text.into(),
        occurrence: 0,
        proc: None,
        retry_count,
        restart_count: 0,
        paused: false,
        gave_up: false,
        rare: Rare::default(),
    }
}

fn any_proc() -> impl Strategy<Value = ProcId> {
    (1..i32::MAX as u32, any::<u64>())
        .prop_map(|(pid, start)| ProcId { pid: Pid::new(pid).unwrap(), start: StartTicks(start) })
}

/// Few different texts, so that they come again.
fn any_entry() -> impl Strategy<Value = SavedEntry> {
    let text = prop_oneof![vec(any::<u8>(), 0..40), vec(0xfe..=0xff_u8, 0..2)];
    let times =
        (option::of(any::<u64>()), option::of(any::<u64>()), option::of(any::<u64>()), option::of(any::<u64>()));
    let counts = (any::<u32>(), any::<u32>(), option::of(any::<u32>()), option::of(any::<u32>()));
    let status = prop_oneof![Just(StallStatus::Detect), Just(StallStatus::Unavail)];
    let stalls = vec(option::of(status), 0..3);
    let others = (any::<bool>(), any::<bool>(), option::of(any_proc()), option::of((any_proc(), any::<u64>())), stalls);
    (text, 0..2_u32, times, counts, others).prop_map(|(text, occurrence, times, counts, others)| SavedEntry {
        text: text.as_slice().into(),
        occurrence,
        proc: others.2,
        retry_count: counts.0,
        restart_count: counts.1,
        paused: others.0,
        gave_up: others.1,
        rare: Rare::from(RarelySaved {
            died_at: times.0.map(Mono),
            window_opened: times.1.map(Mono),
            last_restart: times.2.map(Mono),
            rerun: times.3.map(|unix_ns| Wall { unix_ns }),
            set_retries: counts.2,
            set_grace: counts.3,
            script: others.3.map(|(proc, since)| (proc, Mono(since))),
            stalls: others.4,
        }),
    })
}

fn last_of_each(entries: &[SavedEntry]) -> Vec<SavedEntry> {
    let last: BTreeMap<_, _> = entries.iter().map(|entry| ((entry.text.clone(), entry.occurrence), entry)).collect();
    last.into_values().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_saved_last_comes_back_and_any_end_of_the_file_may_be_missing(
        first in vec(any_entry(), 0..4), then in vec(any_entry(), 0..40), cut in any::<prop::sample::Index>()
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (mut store, found, sentence) = open(&path);
        prop_assert_eq!((found, sentence), (vec![], None));
        prop_assert_eq!(store.renew(first.iter().cloned().map(Arc::new).collect()), None);
        // As long as it was not written anew, the file is what was saved, in order.
        for some in then.chunks(3) {
            prop_assert_eq!(store.save(some.iter().cloned().map(Arc::new)), None);
        }
        drop(store);
        let all = [first, then].concat();
        let whole = fs::read(&path).unwrap();
        let (_, found, sentence) = open(&path);
        prop_assert_eq!((found, sentence), (last_of_each(&all), None));

        let cut = cut.index(whole.len() + 1);
        fs::write(&path, &whole[..cut]).unwrap();
        let (mut store, found, sentence) = open(&path);
        prop_assert_eq!(sentence, None);
        let known: Vec<_> = found.iter().map(|entry| all.contains(entry)).collect();
        prop_assert!(known.iter().all(|known| *known));
        // After a torn line the next one begins on its own.
        let next = entry(b"next", 9);
        prop_assert_eq!(store.save([Arc::new(next.clone())]), None);
        drop(store);
        let (_, again, sentence) = open(&path);
        prop_assert_eq!(sentence, None);
        prop_assert_eq!(again, last_of_each(&[found, vec![next]].concat()));
    }

    #[test]
    fn whatever_stands_in_the_file_is_no_obstacle(junk in vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (mut store, ..) = open(&path);
        store.renew(vec![Arc::new(entry(b"a", 1)), Arc::new(entry(b"b", 2))]);
        let mut text = fs::read(&path).unwrap();
        let at = at.index(text.len());
        text.splice(at..at, junk);
        fs::write(&path, text).unwrap();
        let (mut store, ..) = open(&path);
        let next = entry(b"next", 9);
        prop_assert_eq!(store.save([Arc::new(next.clone())]), None);
        drop(store);
        let (_, found, sentence) = open(&path);
        prop_assert!(found.contains(&next) && sentence.is_none());
    }
}

#[test]
fn the_file_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (mut store, ..) = open(&path);
    for count in 0..1000 {
        assert_eq!(store.save([Arc::new(entry(b"a", count))]), None);
    }
    let lines = fs::read_to_string(&path).unwrap().lines().count();
    assert!(lines <= 70, "{lines}");
    assert_eq!(open(&path).1, [entry(b"a", 999)]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    open(&path).0.remove();
    assert!(!path.exists());
}

#[test]
fn a_file_of_another_boot_means_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    open(&path).0.save([Arc::new(entry(b"a", 1))]);
    let (_, found, sentence) = Store::open(path, "another".to_owned()).unwrap();
    assert_eq!((found, sentence), (vec![], None));
}

#[test]
fn a_damaged_file_is_set_aside_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("state"), folder.path().join("state.damaged"));
    let header = format!("{{\"format\":1,\"boot_id\":\"{BOOT}\"}}\n");
    let huge = || File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
    let damages: [(&str, &dyn Fn()); 5] = [
        ("its first line is not understood", &|| fs::write(&path, "?\n").unwrap()),
        ("it is of format 2, which this version does not know", &|| {
            fs::write(&path, "{\"format\":2,\"boot_id\":\"\"}\n").unwrap();
        }),
        ("its line 2 is not understood", &|| fs::write(&path, format!("{header}{{}}\n")).unwrap()),
        ("it is too large", &huge),
        ("it is not a file", &|| fs::create_dir_all(path.join("inner")).unwrap()),
    ];
    for (why, damage) in damages {
        let _old = fs::remove_file(&path);
        damage();
        let (mut store, found, sentence) = open(&path);
        let (path, kept) = (path.display(), aside.display());
        assert_eq!(sentence.unwrap(), format!("what {path} has saved is lost: {why}; it is kept as {kept}"));
        assert_eq!((found, store.save([Arc::new(entry(b"a", 1))])), (vec![], None));
    }
    // The folder that was set aside is in the way of the next one.
    fs::write(&path, "?\n").unwrap();
    assert!(open(&path).2.unwrap().contains("it is kept as") && aside.is_file());
}

#[test]
fn a_disk_that_is_full_is_told_once_and_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("state");
    let (mut store, ..) = open(&path);
    store.save([Arc::new(entry(b"a", 1))]);
    fs::remove_dir_all(&inner).unwrap();
    let sentence = store.save([Arc::new(entry(b"b", 2))]).unwrap();
    assert!(sentence.starts_with(&format!("{} cannot be written: No such file", path.display())), "{sentence}");
    assert_eq!(store.save([Arc::new(entry(b"c", 3))]), None);
    fs::create_dir(&inner).unwrap();
    assert_eq!(store.save([Arc::new(entry(b"d", 4))]), None);
    assert_eq!(open(&path).1.len(), 4);
    // It can be told again.
    fs::remove_dir_all(&inner).unwrap();
    assert!(store.save([Arc::new(entry(b"b", 2))]).is_some());
    // A write that fails in the middle of a line.
    let (mut store, ..) = open(&folder.path().join("state"));
    store.file = Some(OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert!(store.save([Arc::new(entry(b"a", 1))]).is_some());
    assert_eq!(store.save([Arc::new(entry(b"b", 2))]), None);
    assert_eq!(open(&folder.path().join("state")).1.len(), 2);
}
