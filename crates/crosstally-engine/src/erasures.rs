//! Erasing a person: asked with a preview, carried on step by step by whatever node is there, whatever happens meanwhile.
//!
//! First the tombstones are stored. When every node has surely learned of them, nothing of the person comes in any more, and
//! the search begins: the clicks that were named with all around them, then everything that may speak of the person, newest
//! first. Of each record a rest stays, with its money. What else the person was found to be known by, such as clicks of a
//! conversion, is buried as well, and looked for in another pass.

use std::time::Duration;

use crosstally_core::erasure::{MARKS_MAX, Person};
use crosstally_core::ids::ErasureId;
use crosstally_core::time::SECOND_MS;
use crosstally_store::{Erasure, StoreError};

use crate::Engine;
use crate::clock::watch;

mod around;
mod search;

use search::Place;

/// After this time every node has learned of a tombstone: they look twice a second.
pub const SETTLE_MS: i64 = 3 * SECOND_MS;
/// How long a request stays in hand without a word of whoever has it.
const LEASE_MS: i64 = 60 * SECOND_MS;
/// Pages that are searched before others have their turn.
const PAGES_MAX: u32 = 200;
/// Passes that one request makes at most: each looks for what the one before has found.
const PASSES_MAX: u32 = 8;
/// Pages that a preview looks at in each place.
const PREVIEW_PAGES_MAX: u32 = 400;
/// How long it looks: whoever asked waits for the answer.
const PREVIEW_MAX: Duration = Duration::from_secs(30);

/// Who is to be erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasureIn {
    /// Click ids, ours or other trackers'.
    pub click_ids: Vec<String>,
    /// E-mail addresses, or hashes of them.
    pub emails: Vec<String>,
    /// The advertiser's own ids of the person.
    pub external_ids: Vec<String>,
}

/// What an erasure would be about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasurePreview {
    /// How many records of what.
    pub counts: Vec<(String, u64)>,
    /// Whether all was looked at.
    pub complete: bool,
}

impl ErasureIn {
    /// The person that is meant.
    ///
    /// # Errors
    /// What cannot be meant, without a word of what was given.
    pub fn person(&self) -> Result<Person, String> {
        let count = self.click_ids.len() + self.emails.len() + self.external_ids.len();
        if count == 0 {
            return Err("name a click id, an e-mail address or its hash, or an external id".into());
        }
        if count > MARKS_MAX {
            return Err(format!("names more than {MARKS_MAX} marks of one person"));
        }
        let mut person = Person::default();
        for (at, id) in self.click_ids.iter().enumerate() {
            if !person.add_click(id) {
                return Err(format!("click id {} is empty, too long, or named twice", at + 1));
            }
        }
        for (at, email) in self.emails.iter().enumerate() {
            if !person.add_email(email) {
                let problem = "is neither an e-mail address nor the SHA-256 of one in hexadecimal";
                return Err(format!("e-mail {} {problem}", at + 1));
            }
        }
        for (at, id) in self.external_ids.iter().enumerate() {
            if !person.add_user(id) {
                return Err(format!("external id {} is empty, too long, or named twice", at + 1));
            }
        }
        Ok(person)
    }
}

impl Engine {
    /// What erasing a person would be about. Nothing is changed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn preview_erasure(&self, person: &Person) -> Result<ErasurePreview, StoreError> {
        let began = watch();
        let mut preview = ErasurePreview { counts: Vec::new(), complete: true };
        let mut seen = around::Seen::default();
        // What else the person is found to be known by is looked for as well, as the erasure itself will: all that is kept
        // was looked through for the rest already.
        let (mut known, mut wanted) = (person.clone(), person.clone());
        for pass in 1..=PASSES_MAX {
            let looked_for = (&wanted, &known);
            preview.complete &= self.preview_pass(pass, looked_for, &mut seen, began).await?;
            let before = known.clone();
            let grew = seen.add_to(&mut known);
            if !grew {
                break;
            }
            preview.complete &= pass < PASSES_MAX;
            wanted = known.without(&before);
        }
        preview.counts = seen.counts();
        Ok(preview)
    }

    /// One pass of it; whether all was looked at.
    async fn preview_pass(
        &self,
        pass: u32,
        (wanted, known): (&Person, &Person),
        seen: &mut around::Seen,
        began: Duration,
    ) -> Result<bool, StoreError> {
        let mut place = Some(Place::first(pass, self.clock.now()));
        let (mut pages, mut complete) = (0, true);
        while let Some(at) = place {
            if watch().saturating_sub(began) > PREVIEW_MAX {
                return Ok(false);
            }
            let page = self.search(wanted, known, &at).await?;
            for found in page.found {
                self.look_around(&found, seen).await?;
            }
            pages += 1;
            place = match page.next {
                Some(next) if next.stage == at.stage && pages >= PREVIEW_PAGES_MAX => {
                    complete = false;
                    pages = 0;
                    next.after_stage()
                }
                Some(next) => {
                    pages = if next.stage == at.stage { pages } else { 0 };
                    Some(next)
                }
                None => None,
            };
        }
        Ok(complete)
    }

    /// Begins to erase a person; it goes on by itself on every node that works by the clock. From this moment on nothing of
    /// the person comes back.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin_erasure(&self, person: &Person, author: &str) -> Result<Erasure, StoreError> {
        let now = self.clock.now();
        let id = ErasureId::new(now, self.random.bytes());
        let wanted = serde_json::to_vec(person).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let erasure = Erasure {
            id,
            at: now,
            author: author.to_owned(),
            subject: person.subject(),
            wanted: self.keys.seal_bytes(&id.to_string(), &wanted),
            done_to: Place::first(1, now.plus_millis(SETTLE_MS)).to_string(),
            finished_at: None,
            counts: Vec::new(),
        };
        let tombstones = person.marks().map(|(mark, text)| self.tombstone(mark, text)).collect();
        self.store.begin_erasure(erasure.clone(), tombstones).await?;
        self.refresh_erased().await?;
        tracing::info!(erasure.id = %id, author, "a person is being erased");
        Ok(erasure)
    }

    /// Carries requests on that are not done. Returns how many were done.
    ///
    /// # Errors
    /// See [`StoreError`]; what was done stays done.
    pub async fn work_on_erasures(&self) -> Result<u64, StoreError> {
        let mut done = 0;
        // A request comes with its tombstones: without any there is nothing to ask the store for.
        if !self.has_erased() {
            return Ok(0);
        }
        loop {
            let now = self.clock.now();
            let until = now.plus_millis(LEASE_MS);
            let Some(erasure) = self.store.take_erasure(self.node.to_string(), now, until).await? else {
                return Ok(done);
            };
            // Those behind it have their turn when it is done.
            if !self.carry_on(&erasure).await? {
                return Ok(done);
            }
            done += 1;
        }
    }

    /// Whether it is done.
    async fn carry_on(&self, erasure: &Erasure) -> Result<bool, StoreError> {
        let sealed = self.keys.unseal_bytes(&erasure.id.to_string(), &erasure.wanted);
        let person: Option<Person> = sealed.and_then(|json| serde_json::from_slice(&json).ok());
        let place: Option<Place> = erasure.done_to.parse().ok();
        let (Some(mut person), Some(mut place)) = (person, place) else {
            return Err(StoreError::Corrupt(format!("erasure {} cannot be read", erasure.id)));
        };
        for _ in 0..PAGES_MAX {
            if self.clock.now() < place.not_before {
                return Ok(false);
            }
            let page = self.search(&person, &person, &place).await?;
            let mut seen = around::Seen::default();
            for found in &page.found {
                self.look_around(found, &mut seen).await?;
            }
            // What is to be looked for is kept before that is erased by which it was found.
            if seen.add_to(&mut person) {
                place.grew = true;
                if !self.keep(erasure.id, &place, Some(&person)).await? {
                    return Ok(false);
                }
            }
            for found in page.found {
                self.erase_around(erasure.id, found).await?;
            }
            let next = page.next.map(|next| Place { grew: place.grew, ..next });
            let again = place.grew && place.pass < PASSES_MAX;
            place = match next {
                Some(next) => next,
                // Other nodes have still to learn of what was found on the way.
                None if again => Place::first(place.pass + 1, self.clock.now().plus_millis(SETTLE_MS)),
                None => {
                    self.store.finish_erasure(erasure.id, self.clock.now()).await?;
                    self.refresh_erased().await?;
                    tracing::info!(erasure.id = %erasure.id, "a person is erased");
                    return Ok(true);
                }
            };
            if !self.keep(erasure.id, &place, None).await? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Notes how far it is; not if another node has it by now.
    async fn keep(&self, id: ErasureId, place: &Place, person: Option<&Person>) -> Result<bool, StoreError> {
        let json = person.map(serde_json::to_vec).transpose();
        let json = json.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let wanted = json.map(|json| self.keys.seal_bytes(&id.to_string(), &json));
        let until = self.clock.now().plus_millis(LEASE_MS);
        self.store.advance_erasure(id, self.node.to_string(), place.to_string(), wanted, until).await
    }
}
