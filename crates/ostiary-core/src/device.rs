//! Devices: a `User-Agent` in the words that people use, so that they recognise a session as theirs.
//!
//! The header is what a client cares to say, so a description is for people to read and for nothing else.

/// Names of programs are cut here.
const MAX_NAME_CHARS: usize = 40;

/// What a browser calls itself, and what people call it. A browser also has the tokens of those that it wants
/// to be taken for, so the first of these that is there is the one that counts: all but Firefox and Safari
/// say that they are Chrome, and all but Firefox that they are Safari. Safari's own version stands at `Version`.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("EdgA", "Edge"),
    ("EdgiOS", "Edge"),
    ("Edge", "Edge"),
    ("OPR", "Opera"),
    ("OPT", "Opera"),
    ("OPX", "Opera GX"),
    ("OPiOS", "Opera"),
    ("Opera", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("YaBrowser", "Yandex Browser"),
    ("Vivaldi", "Vivaldi"),
    ("Brave", "Brave"),
    ("DuckDuckGo", "DuckDuckGo"),
    ("Ddg", "DuckDuckGo"),
    ("UCBrowser", "UC Browser"),
    ("XiaoMi", "Mi Browser"),
    ("HuaweiBrowser", "Huawei Browser"),
    ("HeyTapBrowser", "HeyTap Browser"),
    ("MQQBrowser", "QQ Browser"),
    ("Whale", "Whale"),
    ("Silk", "Silk"),
    ("FBAV", "Facebook"),
    ("Instagram", "Instagram"),
    ("Line", "LINE"),
    ("MicroMessenger", "WeChat"),
    ("GSA", "Google app"),
    ("Slack", "Slack"),
    ("Teams", "Microsoft Teams"),
    ("Thunderbird", "Thunderbird"),
    ("WindowsPowerShell", "PowerShell"),
    ("PowerShell", "PowerShell"),
    ("MSIE", "Internet Explorer"),
    ("Focus", "Firefox Focus"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Headless Chrome"),
    ("Chrome", "Chrome"),
    ("Version", "Safari"),
];

/// What stands somewhere in a `User-Agent` from a system, and what people call it; the first that is there
/// counts, since Android says that it is Linux, and an iPhone that it is like a Mac.
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("iOS", "iOS"),
    ("HarmonyOS", "HarmonyOS"),
    ("OpenHarmony", "HarmonyOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("macOS", "macOS"),
    ("Darwin", "an Apple device"),
    ("Tizen", "Tizen"),
    ("Web0S", "webOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
];

/// First words that many have in common.
const COMMON_PREFIXES: &[&str] = &["Mozilla", "Dalvik"];

/// How the names of crawlers end. They come before all others, since a crawler says that it is a browser too.
const CRAWLERS: &[&str] = &["bot", "spider", "crawler"];

/// The program and the system of a client, in at most 80 printable characters: `Chrome 131 on Windows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceDescription(String);

impl DeviceDescription {
    /// The description as people read it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Describes the client that sent `user_agent`: a known browser, else the program that is named first; of its
/// version the first number; and the system. `None` if nothing of it can be told.
#[must_use]
pub fn describe(user_agent: &str) -> Option<DeviceDescription> {
    let system = SYSTEMS.iter().find(|(token, _)| user_agent.contains(token)).map(|(_, name)| *name);
    let words: Vec<&str> = words(user_agent).collect();
    let program = program(&words).filter(|program| Some(program.as_str()) != system);
    let words = match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program,
        (None, Some(system)) => system.to_owned(),
        (None, None) => return None,
    };
    Some(DeviceDescription(words))
}

/// A program, and the first number of its version.
#[derive(Clone, Copy)]
struct Product<'a> {
    name: &'a str,
    major: Option<u32>,
}

impl<'a> Product<'a> {
    /// The product in `Chrome/131.0.0.0`, or in `Instagram` before `302.1`.
    fn read(word: &'a str, next: Option<&str>) -> Option<Self> {
        match word.split_once('/') {
            Some((name, version)) => Some(Self { name, major: major(version) }),
            None => Some(Self { name: word, major: Some(major(next?)?) }),
        }
    }

    fn called(self, name: &str) -> String {
        self.major.map_or_else(|| name.to_owned(), |major| format!("{name} {major}"))
    }
}

/// The 131 of `131.0.0.0` or `v131`.
fn major(version: &str) -> Option<u32> {
    let version = version.strip_prefix('v').unwrap_or(version);
    version.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

/// The program that the words of a `User-Agent` name.
fn program(words: &[&str]) -> Option<String> {
    let nexts = words.iter().skip(1).map(|next| Some(*next)).chain([None]);
    let products: Vec<Product> =
        words.iter().zip(nexts).filter_map(|(word, next)| Product::read(word, next)).collect();
    let crawler = products.iter().find(|product| is_crawler(product.name));
    if let Some(crawler) = crawler {
        return Some(crawler.called(&shown(crawler.name)));
    }
    let browser = BROWSERS.iter().find_map(|(token, name)| {
        products.iter().find(|product| product.name == *token).map(|product| product.called(name))
    });
    browser.or_else(|| first_program(words))
}

fn is_crawler(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CRAWLERS.iter().any(|end| name.ends_with(end))
}

/// What an app or a library calls itself.
fn first_program(words: &[&str]) -> Option<String> {
    let word = words.first()?;
    let product = Product::read(word, words.get(1).copied()).unwrap_or(Product { name: word, major: None });
    let name = shown(product.name);
    let says_something = name.contains(|character: char| character.is_ascii_alphanumeric());
    (says_something && !COMMON_PREFIXES.contains(&product.name)).then(|| product.called(&name))
}

/// A name as it is shown. Apps of Apple's systems write a space as it is written in an address.
fn shown(name: &str) -> String {
    let name: String = name.replace("%20", " ").trim_start().chars().take(MAX_NAME_CHARS).collect();
    name.trim_end().to_owned()
}

/// The words of a `User-Agent`, those in comments too: tokens (RFC 9110 §5.6.2), and products, which are two
/// of them with a slash between. So a word is printable.
fn words(user_agent: &str) -> impl Iterator<Item = &str> {
    let is_part =
        |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(character);
    user_agent.split(move |character| !is_part(character)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests;
