use std::{convert::Infallible, os::unix::fs::MetadataExt};

use futures_util::{future::join_all, stream};

use super::*;

struct Fixture {
    root: tempfile::TempDir,
    cache: Arc<ImageCache>,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let cache = ImageCache::open(root.path().join("images"), 0).unwrap();
        Self { root, cache }
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.root.path().join("images")).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Data, a hole, data, a hole.
fn image() -> (Vec<u8>, ContentDigest) {
    let mut bytes = vec![0; 4 << 20];
    bytes[..9].copy_from_slice(b"beginning");
    bytes[3 << 20..(3 << 20) + 3].copy_from_slice(b"mid");
    let digest = digest_of(&bytes);
    (bytes, digest)
}

fn digest_of(bytes: &[u8]) -> ContentDigest {
    ContentDigest::from_bytes(*blake3::hash(bytes).as_bytes())
}

fn packed(bytes: &[u8]) -> Vec<Bytes> {
    zstd::encode_all(bytes, 1).unwrap().chunks(50).map(Bytes::copy_from_slice).collect()
}

fn transfer(pieces: Vec<Bytes>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::iter(pieces.into_iter().map(Ok))
}

#[tokio::test]
async fn an_upload_arrives_whole_and_sparse() {
    let (bytes, digest) = image();
    let here = Fixture::new();
    here.cache.receive(digest, bytes.len() as u64, transfer(packed(&bytes))).await.unwrap();
    let (path, size) = here.cache.find(&digest).unwrap();
    assert_eq!(size, bytes.len() as u64);
    assert!(fs::read(&path).unwrap() == bytes);
    let facts = path.metadata().unwrap();
    assert!(facts.blocks() * 512 <= 256 << 10, "{} blocks", facts.blocks());
    assert_eq!(facts.mode() & 0o777, 0o444);
    // A second time nothing is read: this stream would break.
    let broken = stream::once(async { Err::<Bytes, _>("broken") });
    here.cache.receive(digest, size, broken).await.unwrap();
}

#[tokio::test]
async fn a_bad_upload_leaves_nothing() {
    let (bytes, digest) = image();
    let size = bytes.len() as u64;
    let cut = {
        let mut pieces = packed(&bytes);
        pieces.pop();
        pieces
    };
    let bomb = packed(&vec![0; 64 << 20]);
    assert!(bomb.iter().map(Bytes::len).sum::<usize>() < 16 << 10);
    let other = {
        let mut other = bytes.clone();
        other[77] = 1;
        packed(&other)
    };
    for (what, pieces, announced, says) in [
        ("cut short", cut, size, "cannot be read"),
        ("a bomb", bomb, size, "more than"),
        ("other bytes", other, size, "digest"),
        ("too little", packed(&bytes), size + 512, "announced"),
        ("no zstd", vec![Bytes::from_static(b"plain bytes")], size, "cannot be read"),
        ("an odd size", packed(&bytes), size + 1, "multiple of 512"),
        ("an absurd size", packed(&bytes), 1 << 60, "multiple of 512"),
    ] {
        let here = Fixture::new();
        let problem = here.cache.receive(digest, announced, transfer(pieces)).await.unwrap_err().to_string();
        assert!(problem.contains(says), "{what}: {problem}");
        assert_eq!(here.files(), Vec::<String>::new(), "{what}");
    }
    let here = Fixture::new();
    let breaks = stream::iter(packed(&bytes).into_iter().take(2).map(Ok).chain([Err("connection reset")]));
    let problem = here.cache.receive(digest, size, breaks).await.unwrap_err().to_string();
    assert!(problem.contains("connection reset"), "{problem}");
    assert_eq!(here.files(), Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_given_up_by_its_caller_leaves_nothing() {
    let (bytes, digest) = image();
    let size = bytes.len() as u64;
    let here = Fixture::new();
    let first = packed(&bytes).remove(0);
    let stalls = stream::once(async { Ok::<_, Infallible>(first) }).chain(stream::pending());
    let mut upload = Box::pin(here.cache.receive(digest, size, stalls));
    while here.files().is_empty() {
        assert!(futures_util::poll!(&mut upload).is_pending());
        tokio::task::yield_now().await;
    }
    drop(upload);
    // The next in turn starts when nothing of the first is left.
    here.cache.receive(digest, size, transfer(packed(&bytes))).await.unwrap();
    assert_eq!(here.files(), [format!("{digest}.raw")]);
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let (bytes, digest) = image();
    let here = Fixture::new();
    let first = packed(&bytes).remove(0);
    let stalls = stream::once(async { Ok::<_, Infallible>(first) }).chain(stream::pending());
    tokio::time::pause();
    let mut upload = Box::pin(here.cache.receive(digest, bytes.len() as u64, stalls));
    while here.files().is_empty() {
        assert!(futures_util::poll!(&mut upload).is_pending());
        tokio::task::yield_now().await;
    }
    tokio::time::advance(IDLE * 2).await;
    let problem = upload.await.unwrap_err().to_string();
    assert!(problem.contains("nothing came"), "{problem}");
    assert_eq!(here.files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_is_linked_after_a_look_at_it() {
    let (bytes, digest) = image();
    let here = Fixture::new();
    let source = here.root.path().join("source");
    fs::write(&source, &bytes).unwrap();
    let size = bytes.len() as u64;
    let wrong = here.cache.link(digest_of(b"other"), size, source.clone()).await.unwrap_err();
    assert!(matches!(wrong, NodeError::BadImage { .. }), "{wrong}");
    let wrong = here.cache.link(digest, size + 512, source.clone()).await.unwrap_err();
    assert!(matches!(wrong, NodeError::BadImage { .. }), "{wrong}");
    let wrong = here.cache.link(digest, size, here.root.path().to_owned()).await.unwrap_err();
    assert!(matches!(wrong, NodeError::BadImage { .. }), "{wrong}");
    assert_eq!(here.files(), Vec::<String>::new());
    let all = join_all((0..5).map(|_| here.cache.link(digest, size, source.clone()))).await;
    assert!(all.iter().all(Result::is_ok));
    let (path, _) = here.cache.find(&digest).unwrap();
    assert_eq!(path.metadata().unwrap().ino(), source.metadata().unwrap().ino(), "no second copy");
}

#[tokio::test]
async fn a_file_that_cannot_be_linked_is_copied() {
    let (bytes, digest) = image();
    let here = Fixture::new();
    // Another file system: links do not cross.
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let source = elsewhere.path().join("source");
    fs::write(&source, &bytes).unwrap();
    here.cache.link(digest, bytes.len() as u64, source).await.unwrap();
    let (path, _) = here.cache.find(&digest).unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(here.files(), [format!("{digest}.raw")]);
}

#[tokio::test]
async fn a_reserve_is_kept_free() {
    let (bytes, digest) = image();
    let root = tempfile::tempdir().unwrap();
    let cache = ImageCache::open(root.path().to_owned(), u64::MAX).unwrap();
    let refused = cache.receive(digest, bytes.len() as u64, transfer(packed(&bytes))).await.unwrap_err();
    assert!(matches!(refused, NodeError::NoRoom(_)), "{refused}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn leftovers_and_unused_images_go() {
    let (bytes, digest) = image();
    let here = Fixture::new();
    here.cache.receive(digest, bytes.len() as u64, transfer(packed(&bytes))).await.unwrap();
    fs::write(here.root.path().join("images").join(format!("{TEMPORARY}x")), b"half").unwrap();
    let again = ImageCache::open(here.root.path().join("images"), 0).unwrap();
    assert_eq!(here.files(), [format!("{digest}.raw")]);
    assert_eq!(again.remove_unused(&HashSet::from([digest])).unwrap(), []);
    assert_eq!(again.remove_unused(&HashSet::new()).unwrap(), [digest]);
    assert_eq!(here.files(), Vec::<String>::new());
}
