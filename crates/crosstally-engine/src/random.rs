//! The only source of randomness: a seeded generator behind a handle, so that a test can repeat a run.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A source of random numbers that nobody can guess, unless a test has chosen the seed.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl fmt::Debug for Random {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Random(..)")
    }
}

impl Random {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// The operating system has no random numbers to give.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the operating system is asked for a seed"
    )]
    pub fn from_system() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self(Arc::new(Mutex::new(StdRng::from_seed(seed)))))
    }

    /// Seeded by a test.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }

    /// A number from 0 to 1000, both included.
    #[must_use]
    pub fn permille(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..=1000)
    }
}
