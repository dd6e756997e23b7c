//! The URL of a call, with the URL parser's reading of it where whoever made it has read it already: it need not be read
//! a second time, and nobody can see two hosts in it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use url::{ParseError, Url};

/// A URL as called: its text, whether or not it was read.
#[derive(Clone)]
pub struct CallUrl(Form);

#[derive(Clone)]
enum Form {
    /// Nobody has looked whether it is a URL at all.
    Text(String),
    /// What the text was read as. Only the reading is kept, and it is written as it is called.
    Read(Url),
}

impl CallUrl {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Text(text) => text,
            Form::Read(url) => url.as_str(),
        }
    }

    /// The parser's reading of it.
    ///
    /// # Errors
    /// It is no URL.
    pub fn read(&self) -> Result<Cow<'_, Url>, ParseError> {
        match &self.0 {
            Form::Text(text) => Url::parse(text).map(Cow::Owned),
            Form::Read(url) => Ok(Cow::Borrowed(url)),
        }
    }
}

impl From<String> for CallUrl {
    fn from(text: String) -> Self {
        Self(Form::Text(text))
    }
}

impl From<&str> for CallUrl {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Url> for CallUrl {
    fn from(url: Url) -> Self {
        Self(Form::Read(url))
    }
}

impl Deref for CallUrl {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for CallUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self)
    }
}

impl fmt::Debug for CallUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl PartialEq for CallUrl {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for CallUrl {}

impl PartialEq<str> for CallUrl {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for CallUrl {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for CallUrl {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_url_that_was_read_is_called_as_if_its_text_were_read_again() {
        for text in [
            "https://partner.example/pb?cid=1&x=%20#end",
            "HTTP://B\u{fc}cher.example:80/a/../b?\u{e9}='",
            "https://a.example\\@evil.example/",
            "http://0x7f.1",
            "http://[::ffff:127.0.0.1]/ ",
        ] {
            let url = Url::parse(text).unwrap();
            let read = CallUrl::from(url.clone());
            let again = CallUrl::from(read.as_str());
            assert_eq!(read, again);
            assert_eq!(*read.read().unwrap(), url, "{text}");
            assert_eq!(*again.read().unwrap(), url, "{text}");
        }
        assert!(CallUrl::from("//a.example/").read().is_err());
    }
}
