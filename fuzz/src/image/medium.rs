//! A file in memory.

use std::{fs::File, os::unix::fs::FileExt};

use rustix::fs::{MemfdFlags, memfd_create};

use super::seeds::Seed;

/// The image under test.
pub struct Medium {
    file: File,
    length: u64,
}

impl Medium {
    fn new(length: u64) -> Self {
        let file = File::from(memfd_create("image", MemfdFlags::CLOEXEC).expect("a file in memory"));
        file.set_len(length).expect("files in memory may have holes");
        Self { file, length }
    }

    pub fn of(seed: &Seed) -> Self {
        let mut medium = Self::new(seed.length);
        for (place, piece) in &seed.pieces {
            medium.put(*place, piece);
        }
        medium
    }

    pub fn holding(bytes: &[u8]) -> Self {
        let mut medium = Self::new(bytes.len() as u64);
        medium.put(0, bytes);
        medium
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn set_length(&mut self, length: u64) {
        self.file.set_len(length).expect("files in memory may have holes");
        self.length = length;
    }

    /// The bytes at a place, zeros behind the end.
    pub fn get(&self, at: u64, bytes: &mut [u8]) {
        bytes.fill(0);
        let there = self.length.saturating_sub(at).min(bytes.len() as u64) as usize;
        self.file.read_exact_at(&mut bytes[..there], at).expect("a file in memory");
    }

    pub fn array<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.get(at, &mut bytes);
        bytes
    }

    /// Overwrites bytes; those behind the end are dropped.
    pub fn put(&mut self, at: u64, bytes: &[u8]) {
        let there = self.length.saturating_sub(at).min(bytes.len() as u64) as usize;
        self.file.write_all_at(&bytes[..there], at).expect("a file in memory");
    }

    /// For a reader.
    pub fn file(&self) -> File {
        self.file.try_clone().expect("a handle")
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length as usize];
        self.get(0, &mut bytes);
        bytes
    }
}
