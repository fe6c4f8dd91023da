//! Forgeries of tokens that a key pair signs. The forger has the public keys, and a key pair of their own.

use aws_lc_rs::{
    hmac, rand,
    rsa::KeySize,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::forger::{Forgery, Genuine, part, signed_by};

/// The order of the group of Ed25519 (RFC 8032 §5.1), the least significant byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// What a forger knows of the key that signs.
pub(super) struct Published {
    pub(super) algorithm: &'static str,
    /// The whole answer of `/.well-known/jwks.json`.
    pub(super) set: String,
    /// The key in it.
    pub(super) key: Value,
}

impl Published {
    pub(super) fn id(&self) -> &str {
        self.key["kid"].as_str().unwrap()
    }

    fn member(&self, name: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(self.key[name].as_str().unwrap()).unwrap()
    }

    /// The key as X.509 writes it (RFC 5280 §4.1.2.7).
    fn der(&self) -> Vec<u8> {
        let (before, key, after): (&[u8], _, &[u8]) = match self.algorithm {
            "EdDSA" => (b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", self.member("x"), b""),
            "ES256" => (
                b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04",
                [self.member("x"), self.member("y")].concat(),
                b"",
            ),
            _ => (
                b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00",
                self.member("n"),
                b"\x02\x03\x01\x00\x01",
            ),
        };
        [before, &key, after].concat()
    }

    pub(super) fn header(&self) -> Value {
        json!({ "typ": "JWT", "alg": self.algorithm, "kid": self.id() })
    }
}

/// The public key taken for the secret of an HMAC, and the other way round.
pub(super) fn confusions(genuine: &Genuine, published: &Published) -> Vec<Forgery> {
    let claims = genuine.claims_text();
    let der = published.der();
    let text = BASE64_STANDARD.encode(&der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let parameter = published.member(if published.algorithm == "RS256" { "n" } else { "x" });
    let mut forgeries = Vec::new();
    for (name, secret) in [
        ("the key's bytes", parameter.clone()),
        ("the key's bytes in base64", part(&parameter).into_bytes()),
        ("the key in DER", der),
        ("the key in PEM", pem.clone().into_bytes()),
        ("the key in PEM, trimmed", pem.trim_end().as_bytes().to_vec()),
        ("the JWK", published.key.to_string().into_bytes()),
        ("the key set", published.set.clone().into_bytes()),
        ("the key's id", published.id().as_bytes().to_vec()),
        ("nothing", Vec::new()),
    ] {
        let headers = [
            ("", json!({ "typ": "JWT", "alg": "HS256" })),
            (" and kid", json!({ "typ": "JWT", "alg": "HS256", "kid": published.id() })),
            (" but its alg", published.header()),
        ];
        for (kind, header) in headers {
            let token = signed_by(hmac::HMAC_SHA256, &secret, header.to_string(), &claims);
            forgeries.push(Forgery::new(format!("HS256{kind} with {name}"), token));
        }
    }
    forgeries
}

/// Headers that the key did not sign under, and keys that it is not.
pub(super) fn headers(genuine: &Genuine, published: &Published) -> Vec<Forgery> {
    let [_, claims, signature] = genuine.parts();
    let mut headers = Vec::new();
    for kid in [
        json!(""),
        json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        json!("../../etc/passwd"),
        json!("' or 1=1 --"),
        json!([published.id()]),
    ] {
        headers.push(json!({ "typ": "JWT", "alg": published.algorithm, "kid": kid }));
    }
    for kid in
        [Value::Null, json!(7), json!(published.id().to_lowercase()), json!(format!("{} ", published.id()))]
    {
        headers.push(json!({ "typ": "JWT", "alg": published.algorithm, "kid": kid }));
    }
    headers.push(json!({ "typ": "JWT", "alg": published.algorithm }));
    for alg in ["none", "HS256", "HS512", "EdDSA", "Ed25519", "ES256", "ES384", "RS256", "PS256", "eddsa"] {
        if alg != published.algorithm {
            headers.push(json!({ "typ": "JWT", "alg": alg, "kid": published.id() }));
        }
    }
    headers.push(
        json!({ "typ": "JWT", "alg": published.algorithm, "kid": published.id(), "jwk": published.key }),
    );
    let resigned = |header: Value| {
        let message = format!("{}.{claims}", part(header.to_string()));
        Forgery::new(format!("the old signature under {header}"), format!("{message}.{signature}"))
    };
    headers.into_iter().map(resigned).collect()
}

/// Signed by a key pair of the forger's.
pub(super) fn own_keys(genuine: &Genuine, published: &Published) -> Vec<Forgery> {
    let (sign, jwk) = own_key(published.algorithm);
    let ours = published.header();
    let with = |name: &str, value: Value| {
        let mut header = ours.clone();
        header[name] = value;
        header
    };
    [
        ("under our kid", ours.clone()),
        ("with its JWK and our kid", with("jwk", jwk.clone())),
        ("with its JWK", json!({ "typ": "JWT", "alg": published.algorithm, "jwk": jwk })),
        ("without a kid", json!({ "typ": "JWT", "alg": published.algorithm })),
        ("with a jku", with("jku", json!("https://attacker.example/jwks.json"))),
        ("as another algorithm", with("alg", json!("HS256"))),
    ]
    .into_iter()
    .map(|(name, header)| {
        let message = format!("{}.{}", part(header.to_string()), part(genuine.claims_text()));
        let signature = part(sign(message.as_bytes()));
        Forgery::new(format!("signed by a key of the forger's {name}"), format!("{message}.{signature}"))
    })
    .collect()
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn own_key(algorithm: &str) -> (Sign, Value) {
    let random = rand::SystemRandom::new();
    match algorithm {
        "EdDSA" => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": part(pair.public_key()) });
            (Box::new(move |message| pair.sign(message).as_ref().to_vec()), jwk)
        }
        "ES256" => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
            let jwk = json!({ "kty": "EC", "crv": "P-256", "x": part(x), "y": part(y) });
            (Box::new(move |message| pair.sign(&random, message).unwrap().as_ref().to_vec()), jwk)
        }
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let parts = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
            let jwk = json!({ "kty": "RSA", "n": part(parts.n), "e": part(parts.e) });
            let sign = move |message: &[u8]| {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            };
            (Box::new(sign), jwk)
        }
    }
}

/// Signatures that are not of the token, or are written as no signature of its algorithm is.
pub(super) fn signatures(genuine: &Genuine, other: &Genuine, algorithm: &str) -> Vec<Forgery> {
    let [header, claims, _] = genuine.parts();
    let right = genuine.signature();
    let length = right.len();
    let mut flipped = right.clone();
    flipped[length / 2] ^= 1;
    let mut forged = vec![
        ("one bit flipped", flipped),
        ("cut by a byte", right[..length - 1].to_vec()),
        ("cut to half", right[..length / 2].to_vec()),
        ("empty", Vec::new()),
        ("a byte longer", [&right[..], &[0]].concat()),
        ("a byte longer before", [&[0], &right[..]].concat()),
        ("zeros", vec![0; length]),
        ("ones", vec![0xff; length]),
        ("one", [vec![0; length - 1], vec![1]].concat()),
        ("of another token", other.signature()),
    ];
    match algorithm {
        "EdDSA" => forged.push(("S beyond the order", with_greater_s(&right))),
        "ES256" => {
            let half = length / 2;
            forged.push(("in DER", ecdsa_der(&right)));
            forged.push(("r is zero", [&[0; 32], &right[half..]].concat()));
            forged.push(("s is zero", [&right[..half], &[0; 32]].concat()));
            forged.push(("r and s changed about", [&right[half..], &right[..half]].concat()));
        }
        _ => {}
    }
    let mut forgeries: Vec<Forgery> = forged
        .into_iter()
        .map(|(name, bytes)| Forgery::new(name, format!("{header}.{claims}.{}", part(bytes))))
        .collect();
    let promoted = part(Value::from(other.claims.clone()).to_string());
    forgeries.push(Forgery::new("other claims", format!("{header}.{promoted}.{}", part(right))));
    forgeries
}

/// The signature whose S is greater by the order of the group: it would hold, were S not to be reduced
/// (RFC 8032 §5.1.7).
fn with_greater_s(signature: &[u8]) -> Vec<u8> {
    let mut greater = signature.to_vec();
    let mut carry = 0;
    for (byte, add) in greater[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    greater
}

fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign: &[u8] = if digits[0] >= 0x80 { &[0] } else { &[] };
        let length = u8::try_from(sign.len() + digits.len()).unwrap();
        [&[2, length], sign, &digits].concat()
    };
    let (r, s) = signature.split_at(32);
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}
