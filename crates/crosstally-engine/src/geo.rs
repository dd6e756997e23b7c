//! Where addresses are, by files of MaxMind's format that whoever runs the server has. None is shipped; without one nothing
//! is known of any address. A file that changes is taken up within seconds; one that is broken leaves the one before in use.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use crosstally_core::consent::{Europe, is_european};
use crosstally_core::event::OutboundEvent;
use crosstally_core::postback::Postback;
use crosstally_core::visit::Place;
use maxminddb::Reader;
use serde::Deserialize;

use crate::Engine;

/// The largest file that is read: it is held in memory.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// The files in use.
#[derive(Default)]
pub struct Geo(ArcSwap<Vec<File>>);

impl std::fmt::Debug for Geo {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.0.load().iter().map(|file| &file.path)).finish()
    }
}

/// One file, as it was when it was read.
#[derive(Clone)]
struct File {
    path: PathBuf,
    seen: Option<(SystemTime, u64)>,
    reader: Arc<Reader<Vec<u8>>>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct GeoError {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What the files of cities, countries, providers and networks have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Code<'a>>,
    #[serde(borrow)]
    registered_country: Option<Code<'a>>,
    #[serde(borrow)]
    subdivisions: Vec<Code<'a>>,
    #[serde(borrow)]
    city: Option<City<'a>>,
    isp: Option<&'a str>,
    autonomous_system_organization: Option<&'a str>,
    autonomous_system_number: Option<u32>,
}

/// What is asked of every click: nothing of it is copied.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CountryOnly<'a> {
    #[serde(borrow)]
    country: Option<Code<'a>>,
    #[serde(borrow)]
    registered_country: Option<Code<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Code<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct City<'a> {
    #[serde(borrow)]
    names: Names<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names<'a> {
    en: Option<&'a str>,
}

impl Geo {
    /// Uses these files; each may say something else of an address.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn open(&self, paths: &[PathBuf]) -> Result<(), GeoError> {
        let files = paths.iter().map(|path| File::open(path)).collect::<Result<Vec<_>, _>>()?;
        self.0.store(Arc::new(files));
        Ok(())
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }

    /// Reads what has changed. What cannot be read stays as it was.
    ///
    /// # Errors
    /// The files that cannot be read.
    pub fn refresh(&self) -> Result<(), String> {
        let before = self.0.load_full();
        let (mut files, mut changed, mut problems) = (Vec::with_capacity(before.len()), false, Vec::new());
        for file in before.iter() {
            if seen(&file.path) == file.seen {
                files.push(file.clone());
                continue;
            }
            match File::open(&file.path) {
                Ok(new) => {
                    changed = true;
                    files.push(new);
                }
                Err(error) => {
                    problems.push(error.to_string());
                    files.push(file.clone());
                }
            }
        }
        if changed {
            self.0.store(Arc::new(files));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// Where an address is, as far as the files know.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> Place {
        let mut place = Place::default();
        for file in self.0.load().iter() {
            let found =
                file.reader.lookup(address.to_canonical()).and_then(|found| found.decode::<Record<'_>>());
            if let Ok(Some(record)) = found {
                record.add_to(&mut place);
            }
        }
        place
    }
}

impl Geo {
    /// Whether an address is in Europe. `None` if there is none, or no file that knows its country: a file of networks says
    /// of nobody that they are elsewhere.
    fn in_europe(&self, address: Option<IpAddr>) -> Option<bool> {
        let address = address?.to_canonical();
        let country = |file: &File| {
            let found: CountryOnly<'_> = file.reader.lookup(address).ok()?.decode().ok()??;
            let registered = || found.registered_country?.iso_code;
            found.country.and_then(|code| code.iso_code).or_else(registered).map(is_european)
        };
        self.0.load().iter().find_map(country)
    }

    /// Whether an event's visitor is in Europe: by their address, and else by what was noted while there was one. A click
    /// always had one, also where it was emptied before anything was noted. Without any file nobody is looked for, so that an
    /// address that is gone has taken nothing away.
    #[must_use]
    pub fn europe(&self, event: &OutboundEvent) -> Europe {
        let (noted, address) = (event.origin.europe, address_of(event));
        match self.in_europe(address) {
            Some(in_europe) => Europe::noted(Some(in_europe), true),
            None if noted == Europe::Unknown && self.is_empty() => Europe::Unsaid,
            None if address.is_none() && event.origin.click_time.is_some() && !self.is_empty() => {
                noted.without_address()
            }
            None => noted,
        }
    }
}

fn address_of(event: &OutboundEvent) -> Option<IpAddr> {
    event.visitor.client_ip_address.as_deref()?.parse().ok()
}

impl Record<'_> {
    fn add_to(&self, place: &mut Place) {
        let set = |place: &mut String, text: Option<&str>| {
            if let Some(text) = text.filter(|_| place.is_empty()) {
                text.clone_into(place);
            }
        };
        let code = |code: &Option<Code<'_>>| code.as_ref().and_then(|code| code.iso_code).map(str::to_owned);
        set(&mut place.country, code(&self.country).or_else(|| code(&self.registered_country)).as_deref());
        set(&mut place.region, self.subdivisions.first().and_then(|region| region.iso_code));
        set(&mut place.city, self.city.as_ref().and_then(|city| city.names.en));
        set(&mut place.isp, self.isp.or(self.autonomous_system_organization));
        place.asn = place.asn.or(self.autonomous_system_number);
    }
}

fn seen(path: &Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

impl File {
    fn open(path: &Path) -> Result<Self, GeoError> {
        let wrong = |problem: String| GeoError { path: path.display().to_string(), problem };
        let seen = seen(path);
        if seen.is_some_and(|(_, bytes)| bytes > FILE_BYTES_MAX) {
            return Err(wrong(format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let reader = Reader::from_source(bytes).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { path: path.to_owned(), seen, reader: Arc::new(reader) })
    }
}

impl Engine {
    /// Whether an address is in Europe, to be noted beside it: once it is gone nobody can ask it any more. Nothing is noted
    /// as long as there is no destination that hangs on it.
    pub(crate) fn in_europe(&self, address: Option<IpAddr>) -> Option<bool> {
        self.snapshot.load().asks_in_europe().then(|| self.geo.in_europe(address)).flatten()
    }

    /// The same call, with that note of the address which a server event names.
    pub(crate) fn noted(&self, mut postback: Postback) -> Postback {
        if let Some(given) = &mut postback.given {
            given.origin.europe = Europe::noted(self.in_europe(address_of(given)), true);
        }
        postback
    }

    /// Takes up files of places that have changed.
    ///
    /// # Errors
    /// Those that cannot be read.
    pub async fn refresh_geo(&self) -> Result<(), String> {
        if self.geo.is_empty() {
            return Ok(());
        }
        let geo = Arc::clone(&self.geo);
        tokio::task::spawn_blocking(move || geo.refresh()).await.map_err(|error| error.to_string())?
    }
}
