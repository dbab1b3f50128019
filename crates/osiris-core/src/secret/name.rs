//! Which names are those of secrets: of fields, parameters and headers, and of the parameters of an address. A name is
//! judged by its words, so that `db_password`, `apiKey` and `X-Shopify-Access-Token` are found, and `primary_key`,
//! `author` and `X-Monkey` are not.

/// Words that a secret has in its name.
const SECRETS: &[&str] = &[
    "password",
    "pass",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "credentials",
    "dsn",
    "apikey",
    "bearer",
    "authorization",
];

/// Pairs of words that only together speak of a secret.
const PAIRS: &[(&str, &str)] = &[
    ("api", "key"),
    ("private", "key"),
    ("access", "key"),
    ("role", "key"),
    ("anon", "key"),
    ("service", "key"),
    ("secret", "key"),
    ("account", "key"),
    ("encryption", "key"),
];

/// Further words for a credential, where a name has no other use for them: in headers and in addresses.
const CREDENTIALS: &[&str] = &[
    "auth",
    "authentication",
    "authority",
    "cert",
    "certificate",
    "cookie",
    "csrf",
    "jwt",
    "key",
    "oauth",
    "sas",
    "session",
    "sig",
    "signature",
    "xsrf",
];

/// Further words of headers that say who somebody is, or lead elsewhere.
const IDENTITIES: &[&str] = &["forwarded", "host", "proxy", "role", "user", "username"];

/// Words that make a header's name one of a credential in whatever longer word they are: `shoptoken`.
const IN_ANY_WORD: &[&str] = &[
    "bearer",
    "cookie",
    "credential",
    "csrf",
    "forwarded",
    "passphrase",
    "password",
    "secret",
    "session",
    "signature",
    "token",
    "xsrf",
];

/// What is written together with a word for a secret: `dbpassword`, `accesstoken`, `sessionid`.
const COMPANIONS: &[&str] = &[
    "access", "account", "admin", "api", "app", "client", "db", "id", "my", "name", "pg", "refresh", "root", "service",
    "user", "web", "x",
];

/// Headers that decide which server answers, or how a request is framed, under names that do not show it.
const ROUTING: [&str; 10] = [
    "origin",
    "referer",
    "connection",
    "upgrade",
    "expect",
    "te",
    "trailer",
    "content-length",
    "content-encoding",
    "transfer-encoding",
];

/// Whether a field of this name is likely to hold a secret: `db_password`, `apiKey`, `service_role_key`. `primary_key`,
/// `key` and `max_tokens` are not.
pub fn looks_secret(name: &str) -> bool {
    is_called_secret(&words(name))
}

/// Whether a field that nobody knows may hold a secret: as above, or one, or several, of anything that gives access, in whatever
/// longer word.
pub fn may_be_secret(name: &str) -> bool {
    let words = words(name);
    let gives_access = |word: &String| {
        let one = word.strip_suffix('s').unwrap_or(word);
        has_credential(word)
            || has_credential(one)
            || is_joint_key(one)
            || IN_ANY_WORD.iter().any(|part| word.contains(part))
    };
    is_called_secret(&words) || words.iter().any(gives_access)
}

/// Whether a parameter of an address may hold a secret: `?key=`, `?sig=`, `?access_token=`.
pub fn is_secret_parameter(name: &str) -> bool {
    let words = words(name);
    is_called_secret(&words) || words.iter().any(|word| has_credential(word))
}

/// Whether a header of this name may carry a credential, or decides where a request goes: it belongs into the definition of a
/// connection, never into a step.
pub fn is_guarded_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let words = words(name);
    let is_guarded = |word: &String| {
        let is_word = |word: &str| is_credential(word) || IDENTITIES.contains(&word);
        has(word, &is_word)
            || word.strip_suffix('s').is_some_and(|one| has(one, &is_word))
            || IN_ANY_WORD.iter().any(|part| word.contains(part))
            || is_joint(word)
    };
    // `authz`, `remoteuser`, `licensekey`: words that are written together.
    fn is_joint(word: &str) -> bool {
        let is_author = word == "author" || word == "authors";
        (word.starts_with("auth") && !is_author)
            || word.starts_with("user")
            || word.ends_with("user")
            || is_joint_key(word)
    }
    // The only one of these names that every program sends.
    lower != "user-agent"
        && (ROUTING.contains(&lower.as_str()) || is_called_secret(&words) || words.iter().any(is_guarded))
}

fn is_called_secret(words: &[String]) -> bool {
    let is_secret = |word: &str| SECRETS.contains(&word);
    let is_pair = |first: &str, second: &str| PAIRS.contains(&(first, second));
    let is_joint_pair = |word: &str| PAIRS.iter().any(|(first, second)| word.strip_prefix(first) == Some(second));
    words.iter().any(|word| has(word, &is_secret) || is_joint_pair(word))
        || words.windows(2).any(|pair| is_pair(&pair[0], &pair[1]))
}

/// Whether a word ends in `key` that is no animal: `sshkey`.
fn is_joint_key(word: &str) -> bool {
    word.len() > "key".len() && word.ends_with("key") && !["donkey", "monkey", "turkey"].contains(&word)
}

fn has_credential(word: &str) -> bool {
    has(word, &is_credential)
}

fn is_credential(word: &str) -> bool {
    SECRETS.contains(&word) || CREDENTIALS.contains(&word)
}

/// Whether a word is one that `is` accepts, alone or written together with [`COMPANIONS`].
fn has(word: &str, is: &dyn Fn(&str) -> bool) -> bool {
    is(word)
        || word.char_indices().skip(1).any(|(at, _)| {
            let (first, rest) = word.split_at(at);
            (is(first) && (is(rest) || COMPANIONS.contains(&rest))) || (COMPANIONS.contains(&first) && has(rest, is))
        })
}

/// The words of a name, lower case: split at what is no letter or digit, and before a capital that begins a word.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous = '_';
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_small = letters.peek().is_some_and(|next| next.is_lowercase());
        // `apiKey`, and the end of an abbreviation: `APIKey`.
        let begins = letter.is_uppercase() && (previous.is_lowercase() || (previous.is_uppercase() && next_is_small));
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        previous = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets() {
        for name in [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "DBPassword",
            "dbpassword",
            "apiKey",
            "APIKey",
            "api_key",
            "service_role_key",
            "secretkey",
            "pg-dsn",
            "accessToken",
            "accesstoken",
            "token",
            "client_secret",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in [
            "key",
            "primary_key",
            "upsert_keys",
            "max_tokens",
            "tokens",
            "author",
            "host",
            "secretary",
            "monkey",
            "username",
            "bypass",
            "compass",
            "OAuthScope",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
        assert!(may_be_secret("signing_key") && may_be_secret("key") && !may_be_secret("keyboard"));
        for name in [
            "passwords",
            "tokens",
            "secrets",
            "authtoken",
            "mytoken2",
            "sshkey",
            "sshKeys",
            "Cookie",
            "sas",
            "sasToken",
        ] {
            assert!(may_be_secret(name), "{name}");
        }
        for name in ["host", "user", "path", "region", "monkeys", "monkey", "class", "database", "bucket", "columns"] {
            assert!(!may_be_secret(name), "{name}");
        }
    }

    #[test]
    fn parameters_of_addresses_tell_secrets() {
        for name in ["key", "apikey", "sig", "X-Amz-Signature", "X-Amz-Credential", "access_token", "auth", "sessionid"]
        {
            assert!(is_secret_parameter(name), "{name}");
        }
        for name in ["page", "design", "author", "limit", "user", "sslmode"] {
            assert!(!is_secret_parameter(name), "{name}");
        }
    }

    #[test]
    fn headers_that_may_carry_a_credential_are_guarded() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "cookie",
            "Set-Cookie2",
            "X-API-Key",
            "apikey",
            "X-Apikeys",
            "X-Auth-Token",
            "x-authtoken",
            "x-shopifytoken",
            "X-Shopify-Access-Token",
            "X-Hasura-Admin-Secret",
            "X-Hasura-Role",
            "X-Hasura-Allowed-Roles",
            "X-Amz-Security-Token",
            "X-CSRF",
            "Session-Id",
            "PHPSESSIONID",
            "X-Userid",
            "X-User-Email",
            "OAuth-Scopes",
            "X-Authenticated-Groups",
            "X-Authz",
            "X-Licensekey",
            "X-Remoteuser",
            "X-Impersonateuser",
            "Client-Cert",
            "SSL-Client-Certificate",
            "Host",
            "X-Original-Host",
            "X-Forwarded-For",
            "Forwarded",
            "Transfer-Encoding",
        ] {
            assert!(is_guarded_header(name), "{name}");
        }
        for name in [
            "X-Trace",
            "X-Request-ID",
            "traceparent",
            "Accept-Language",
            "User-Agent",
            "X-Bypass-Cache",
            "X-Author",
            "X-Monkey",
            "X-Keyboard-Layout",
            "X-Design",
        ] {
            assert!(!is_guarded_header(name), "{name}");
        }
    }
}
