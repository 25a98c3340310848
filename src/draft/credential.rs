//! Whether what a call presents is plainly an id, which may stand in a register as it is, or may be a secret.
//!
//! Errs on one side: an id that is written as its hash costs a person a look into the log, a secret that is written out
//! is one that leaked. Knows nothing of what is known of credentials otherwise.

/// Longer ones are not taken for ids, whatever is in them.
const CHARS_MAX: usize = 64;
/// A resource name of AWS has account, service and path in it.
const ARN_CHARS_MAX: usize = 256;
/// The longest word of a name: `gserviceaccount`. What has more letters without a break is rather drawn at random.
const WORD_LETTERS_MAX: usize = 15;
/// The longest `camelCase` of such words.
const WORD_CHARS_MAX: usize = 32;
/// Of more words than this no name is made.
const WORDS_MAX: usize = 8;
/// Digits of a number that is an id. Longer ones may be drawn at random.
const NUMBER_DIGITS_MAX: usize = 12;
/// Digits of all words together; those of a random text are more.
const DIGITS_MAX: usize = 8;
/// Digits behind the letters of a word: `rh01`, `app2018`.
const WORD_DIGITS_MAX: usize = 4;
/// Consonants in a row that words have at most: `lengths`, `catchphrase`.
const CONSONANTS_MAX: usize = 5;
/// Words from this length on have a vowel.
const VOWEL_CHARS_MIN: usize = 4;
/// From this length on a word of the letters a to f alone is rather a number in hex.
const HEX_CHARS_MIN: usize = 6;
/// Of so many letters of a word one at least is a vowel.
const LETTERS_PER_VOWEL_MAX: usize = 5;
/// Each hump of a `camelCase` word has so many letters.
const HUMP_CHARS_MIN: usize = 3;

/// Pairs of consonants that are common within words. Others come about where words meet, and in random texts.
const COMMON_PAIRS: &str = "bb bl br bs bt ch ck cl cr cs ct dd dg dl dr ds dw ff fl fr fs ft gg gh gl gn gr gs hl hn hr ht kl kn ks \
    lb lc ld lf lk ll lm ln lp ls lt lv mb ml mm mn mp ms nc nd nf ng nj nk nl nm nn ns nt nv nw ph pl pp pr ps pt rb rc rd rf \
    rg rh rk rl rm rn rp rr rs rt rv rw sc sh sk sl sm sn sp sq ss st sw tb tc tf th tl tm tr ts tt tw wh wl wn wr ws xp xt zz";
/// Letters of a name for each pair of consonants that is not common, beside the first.
const LETTERS_PER_ODD_PAIR: usize = 8;

/// Words that stand in front of secrets, or say what they are.
const SECRET_WORDS: [&str; 29] = [
    "sk", "rk", "pk", "key", "keys", "apikey", "token", "tok", "secret", "bearer", "basic",
    "password", "passwd", "pass", "pwd", "jwt", "ghp", "gho", "ghu", "ghs", "ghr", "glpat", "xoxa",
    "xoxb", "xoxp", "xoxs", "whsec", "akid", "shpat",
];

/// The prefixes of AWS's unique ids that are documented: keys, roles, users, groups and the like.
const AWS_ID_PREFIXES: [&str; 10] =
    ["AKIA", "ASIA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "ASCA", "ABIA"];

/// What a register may have for a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Plainness {
    /// A name that a person gave: it may stand there, and names its partner.
    Name,
    /// An id, but no name: a number, a key's id.
    Id,
    /// Perhaps a secret: only its hash may stand there.
    Secret,
}

/// What a credential is, told from its text. `of_ids` says that the log's format holds nothing but ids.
pub(super) fn plainness(text: &str, of_ids: bool) -> Plainness {
    if text.is_empty() || text.starts_with("sha256") {
        return Plainness::Secret;
    }
    if is_name(text) {
        return Plainness::Name;
    }
    match is_number(text) || is_aws_id(text) || is_arn(text) || (of_ids && is_legible(text)) {
        true => Plainness::Id,
        false => Plainness::Secret,
    }
}

/// A credential's digest, as a register has it.
pub(super) fn hash_text(digest: &[u8; 32]) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// What a name is called as a partner: of an e-mail address what stands before the `@`, of a path its last part, in
/// lower case, with `-` for all but letters, digits, `_` and points. Never empty for a name.
pub(super) fn partner_of(name: &str) -> String {
    let name = name.split_once('@').map_or(name, |(local, _)| local);
    let name = name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(name);
    super::text::slug(name)
}

fn is_number(text: &str) -> bool {
    text.len() <= NUMBER_DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Access key ids and the like: four letters that say what they are of, then capitals and digits.
fn is_aws_id(text: &str) -> bool {
    let is_rest = |rest: &str| {
        (12..=28).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    AWS_ID_PREFIXES.iter().any(|prefix| text.strip_prefix(prefix).is_some_and(is_rest))
}

/// An Amazon resource name: what is its account is 12 digits or nothing.
fn is_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let [arn, partition, service, region, account] =
        std::array::from_fn(|_| parts.next().unwrap_or("?"));
    arn == "arn"
        && partition.starts_with("aws")
        && !service.is_empty()
        && [partition, service, region].iter().all(|part| {
            part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
        && account.len() <= NUMBER_DIGITS_MAX
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && parts.next().is_some_and(|resource| !resource.is_empty())
        && text.len() <= ARN_CHARS_MAX
        && is_legible(text)
}

/// Whether a cell can hold it as it is, and an eye can take it in.
fn is_legible(text: &str) -> bool {
    text.len() <= ARN_CHARS_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/@+=,-".contains(&b))
}

/// Whether it is made of words, as names are that people give: `reelhouse-app`, `Acme`, `svc@mail.example`,
/// `system:serviceaccount:shop:cart`, `spiffe://shop.example/ns/shop`.
fn is_name(text: &str) -> bool {
    let text = text.strip_prefix("spiffe://").unwrap_or(text);
    if text.chars().count() > CHARS_MAX || text.matches('@').count() > 1 {
        return false;
    }
    let is_separator = |c: char| matches!(c, '-' | '_' | '.' | ':' | '/' | '@');
    let words: Vec<&str> = text.split(is_separator).collect();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let odd_pairs: usize = words.iter().map(|word| odd_pairs(word)).sum();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    (1..=WORDS_MAX).contains(&words.len())
        && odd_pairs <= 1 + letters / LETTERS_PER_ODD_PAIR
        && digits <= DIGITS_MAX
        && words.iter().all(|word| is_word(word))
        && words.iter().any(|word| word.bytes().any(|byte| byte.is_ascii_alphabetic()))
        && !words.iter().any(|word| {
            let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
            SECRET_WORDS.iter().any(|secret| secret.eq_ignore_ascii_case(letters))
        })
}

/// Letters as words have them, with a few digits behind; or a few digits.
fn is_word(word: &str) -> bool {
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = word.len() - letters.len();
    let is_hex = letters.len() >= HEX_CHARS_MIN
        && letters.bytes().all(|b| matches!(b.to_ascii_lowercase(), b'a'..=b'f'));
    !word.is_empty()
        && word.len() <= WORD_CHARS_MAX
        && digits <= WORD_DIGITS_MAX
        && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !is_hex
        && letters
            .split(|c: char| c.is_ascii_uppercase())
            .all(|hump| hump.len() <= WORD_LETTERS_MAX)
        && has_humps(letters)
        && is_spoken(letters)
}

/// Whether capitals stand where words begin, or everywhere.
fn has_humps(letters: &str) -> bool {
    if letters.bytes().all(|byte| byte.is_ascii_uppercase()) {
        // Names in capitals are short; a long one is rather drawn from an alphabet of capitals.
        return letters.len() <= 12;
    }
    let mut hump = HUMP_CHARS_MIN;
    for (i, byte) in letters.bytes().enumerate() {
        if byte.is_ascii_uppercase() && i > 0 {
            if hump < HUMP_CHARS_MIN {
                return false;
            }
            hump = 0;
        } else if i == 0 {
            hump = 0;
        }
        hump += 1;
    }
    // What has a single hump may be short.
    hump >= HUMP_CHARS_MIN || letters.bytes().skip(1).all(|byte| byte.is_ascii_lowercase())
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

/// Whether it has vowels as words have them.
fn is_spoken(letters: &str) -> bool {
    let vowels = letters.bytes().filter(|&byte| is_vowel(byte)).count();
    let row = letters.as_bytes().split(|&byte| is_vowel(byte)).map(<[u8]>::len).max();
    row.is_none_or(|row| row <= CONSONANTS_MAX)
        && (letters.len() < VOWEL_CHARS_MIN || vowels * LETTERS_PER_VOWEL_MAX >= letters.len())
}

/// Pairs of consonants in a word that are not common.
fn odd_pairs(word: &str) -> usize {
    let word = word.to_ascii_lowercase();
    let is_consonant = |byte: u8| byte.is_ascii_lowercase() && !is_vowel(byte);
    let pairs = word.as_bytes().windows(2).filter(|pair| pair.iter().all(|&b| is_consonant(b)));
    pairs
        .filter(|pair| !COMMON_PAIRS.as_bytes().chunks(3).any(|common| common.starts_with(pair)))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn all(expected: Plainness, texts: &[&str]) {
        for text in texts {
            assert_eq!(plainness(text, false), expected, "{text}");
        }
    }

    #[test]
    fn names_stay() {
        all(
            Plainness::Name,
            &[
                "reelhouse-app",
                "acme",
                "Acme",
                "ACME",
                "rh01",
                "tickettree-tt11",
                "billing_export",
                "mobileClient",
                "PartnerPortal",
                "partner12",
                "ann",
                "svc@mail.example",
                "cart-svc@shop-prod.iam.gserviceaccount.com",
                "system:serviceaccount:shop:cart",
                "spiffe://shop.example/ns/shop",
                "client.example.com",
                "backup-2018",
                "s3",
                "mobileclient",
                "jobboard-webshop",
                "crm",
                "driftmiles",
                "acmeServiceaccounts",
                "hummingdale-mailbox",
            ],
        );
    }

    #[test]
    fn ids_stay() {
        all(
            Plainness::Id,
            &[
                "1",
                "123456789012",
                "AKIAIOSFODNN7EXAMPLE",
                "ASIAIOSFODNN7EXAMPLE",
                "AROAIOSFODNN7EXAMPLE1",
                "arn:aws:iam::123456789012:role/reelhouse-reader",
                "arn:aws:sts::123456789012:assumed-role/reader/i-0abcd1234ef567890",
            ],
        );
    }

    #[test]
    fn what_may_be_a_secret_is_hashed() {
        all(
            Plainness::Secret,
            &[
                "",
                "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
                "sk_live_reelhouse",
                "key-acme-1",
                "reelhouse-sample-key-rh01",
                "acme-token",
                "Bearer",
                "apiKey1",
                "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
                "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
                "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
                "5f4dcc3b5aa765d61d8327deb882cf99",
                "deadbeefcafe",
                "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
                "dXNlcjpwYXNzd29yZA==",
                "4111111111111111",
                "8675309123456",
                "xkcdqzpt",
                "qwrtplkjhg",
                "aGhTkLpQ",
                "hT7kQ2",
                "a1b2c3",
                "12ab34cd",
                "JBSWY3DPEHPK3PXP",
                "MFRGGZDFMZTWQ",
                " acme",
                "acme ",
                "acme corp",
                "=cmd",
                "ac\u{202e}me",
                "müller",
                "a\nb",
                "sha256:abc",
                "arn:aws:iam::123456789012:",
                "arn:aws:iam::secret:role/x",
                "akiaiosfodnn7example",
            ],
        );
    }

    #[test]
    fn in_a_log_of_ids_all_that_is_legible_stays() {
        let uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        assert_eq!(plainness(uuid, true), Plainness::Id);
        assert_eq!(plainness("a b", true), Plainness::Secret);
        assert_eq!(plainness("sha256:abc", true), Plainness::Secret);
    }

    #[test]
    fn random_texts_are_hashed() {
        // Of an alphabet as keys have it, drawn by a generator that is the same every day.
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut draw = |of: &[u8]| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(of[(state >> 33) as usize % of.len()])
        };
        for (alphabet, length) in [
            ("0123456789abcdef", 16),
            ("0123456789abcdef", 32),
            ("abcdefghijklmnopqrstuvwxyz0123456789", 16),
            ("abcdefghijklmnopqrstuvwxyz", 20),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 20),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 16),
        ] {
            let plain = (0..20_000)
                .filter(|_| {
                    let text: String = (0..length).map(|_| draw(alphabet.as_bytes())).collect();
                    plainness(&text, false) != Plainness::Secret
                })
                .count();
            // Once in a thousand times chance spells a word.
            assert!(plain <= 20, "{plain} {alphabet} {length}");
        }
    }

    #[test]
    fn partners_are_called_by_their_names() {
        for (name, partner) in [
            ("Reelhouse_App", "reelhouse_app"),
            ("svc@mail.example", "svc"),
            ("system:serviceaccount:shop:cart", "system-serviceaccount-shop-cart"),
            ("spiffe://shop.example/ns/shop/", "shop"),
        ] {
            assert_eq!(partner_of(name), partner);
        }
    }
}
