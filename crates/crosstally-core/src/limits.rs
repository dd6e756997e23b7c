//! Every limit on what comes in, in one place. A limit that is met is an answer with a reason, never a silent cut.

/// Bytes of a request's query string. A request line of 64 KiB and more is turned away before anybody reads it.
pub const QUERY_BYTES_MAX: usize = 60 * 1024;
/// Bytes of a postback's body.
pub const POSTBACK_BODY_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an admin request's body; a config document is the largest.
pub const ADMIN_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Parameters of one request.
pub const PARAMS_MAX: usize = 512;
/// Bytes of one parameter name.
pub const PARAM_NAME_BYTES_MAX: usize = 256;
/// Bytes of one parameter value. Ad click ids and signed tokens are long; nothing honest is longer than this.
pub const PARAM_VALUE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a user agent, referrer or language header that are stored.
pub const HEADER_BYTES_MAX: usize = 2 * 1024;
/// Bytes of a redirect target after its macros are filled in.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a slug in the configuration.
pub const SLUG_BYTES_MAX: usize = 64;
/// Bytes of a goal condition.
pub const CONDITION_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a dedupe key, an external id, an event name.
pub const KEY_BYTES_MAX: usize = 512;
/// Movements that one conversion may have.
pub const MOVEMENTS_MAX: u32 = 1_000;
/// Bytes of an answer's body that are kept with an attempt.
pub const RESPONSE_KEPT_BYTES: usize = 4 * 1024;
/// Bytes of an answer's body that are read at all.
pub const RESPONSE_READ_BYTES: usize = 64 * 1024;
/// The same for each event of a request beyond the first: some platforms answer with a row for each.
pub const RESPONSE_READ_BYTES_EACH: usize = 1024;
/// The same of any answer, however many events it is about.
pub const RESPONSE_READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows of one call: a JSON array, or lines of JSON.
pub const ROWS_MAX: usize = 1_000;
/// Values of one JSON document.
pub const JSON_LEAVES_MAX: usize = 16_384;
/// Bytes of a JSON value's path, its keys from the outermost to its own.
pub const JSON_PATH_BYTES_MAX: usize = 1_024;
/// Bytes of all paths of one JSON document: a long key above a thousand short values is written out for each of them.
pub const JSON_PATHS_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that the rows of one list may hold together beside their values: the query, which each of them repeats, and the
/// names of its own parameters.
pub const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Headers of an inbound call that are looked at.
pub const HEADERS_MAX: usize = 64;
/// Rates of one file; the ECB's whole history since 1999 has a good two hundred thousand.
pub const FX_RATES_MAX: usize = 500_000;
/// Bytes of a request with server events.
pub const EVENTS_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
