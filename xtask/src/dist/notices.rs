//! Licences by their texts, and the code of others that DuckDB's source has in it. That source comes without the files of their
//! licences, which are named in its headers.

/// A licence with a text that we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Licence {
    Apache2,
    Boost,
    Bsd2,
    Bsd3,
    Mit,
    Unicode3,
    Zlib,
}

impl Licence {
    /// The name that SPDX has for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Apache2 => "Apache-2.0",
            Self::Boost => "BSL-1.0",
            Self::Bsd2 => "BSD-2-Clause",
            Self::Bsd3 => "BSD-3-Clause",
            Self::Mit => "MIT",
            Self::Unicode3 => "Unicode-3.0",
            Self::Zlib => "Zlib",
        }
    }

    /// The whole text with the notice of the holder.
    pub(super) fn text(self, holder: &str) -> String {
        let text = match self {
            Self::Apache2 => include_str!("../../../LICENSE-APACHE"),
            Self::Boost => include_str!("../../licenses/BSL-1.0.txt"),
            Self::Bsd2 => include_str!("../../licenses/BSD-2-Clause.txt"),
            Self::Bsd3 => include_str!("../../licenses/BSD-3-Clause.txt"),
            Self::Mit => include_str!("../../licenses/MIT.txt"),
            Self::Unicode3 => include_str!("../../licenses/Unicode-3.0.txt"),
            Self::Zlib => include_str!("../../licenses/Zlib.txt"),
        };
        format!("Copyright (c) {holder}\n\n{text}")
    }
}

/// The directories of `third_party` in DuckDB's source, and behind them what only the library has that its project builds.
pub(super) const IN_DUCKDB: [(&str, Licence, &str); 31] = [
    ("brotli", Licence::Mit, "2009, 2010, 2013-2022 Google Inc. and the Brotli Authors"),
    ("concurrentqueue", Licence::Bsd2, "2013-2016 Cameron Desrochers. All rights reserved."),
    ("concurrentqueue", Licence::Zlib, "2015 Jeff Preshing"),
    ("fast_float", Licence::Mit, "2021 The fast_float authors"),
    ("fastpforlib", Licence::Apache2, "Daniel Lemire and the FastPFor authors"),
    ("fmt", Licence::Mit, "2012 - present, Victor Zverovich"),
    ("fsst", Licence::Mit, "2018-2020, CWI, TU Munich, FSU Jena"),
    ("httplib", Licence::Mit, "2026 Yuji Hirose. All rights reserved."),
    ("hyperloglog", Licence::Bsd3, "2006-2014, Salvatore Sanfilippo. All rights reserved."),
    ("jaro_winkler", Licence::Mit, "2022 Max Bachmann"),
    ("lz4", Licence::Bsd2, "2011-2020, Yann Collet. All rights reserved."),
    ("mbedtls", Licence::Apache2, "The Mbed TLS Contributors"),
    (
        "miniz",
        Licence::Mit,
        "2013-2014 RAD Game Tools and Valve Software, 2010-2014 Rich Geldreich and Tenacious Software LLC",
    ),
    ("parquet", Licence::Apache2, "The Apache Software Foundation"),
    ("pcg", Licence::Mit, "2014-2019 Melissa O'Neill and the PCG Project contributors"),
    ("pdqsort", Licence::Zlib, "2021 Orson Peters"),
    ("re2", Licence::Bsd3, "2003-2009 The RE2 Authors. All rights reserved."),
    ("ska_sort", Licence::Boost, "2016 Malte Skarupke"),
    ("skiplist", Licence::Mit, "2015-2023 Paul Ross. All rights reserved."),
    ("snappy", Licence::Bsd3, "2005 Google Inc. All rights reserved."),
    ("tdigest", Licence::Apache2, "Derrick R. Burns"),
    ("thrift", Licence::Apache2, "The Apache Software Foundation"),
    (
        "utf8proc",
        Licence::Mit,
        "2014-2021 Steven G. Johnson, Jiahao Chen, Peter Colberg, Tony Kelman, Scott P. Jones, and other contributors; \
         2009 Public Software Group e. V., Berlin, Germany",
    ),
    ("utf8proc", Licence::Unicode3, "1991-2024 Unicode, Inc."),
    ("vergesort", Licence::Mit, "2015-2020 Morwenn"),
    ("vergesort", Licence::Zlib, "2015 Orson Peters, modified by Morwenn"),
    ("yyjson", Licence::Mit, "2020 YaoYuan"),
    ("zstd", Licence::Bsd3, "Meta Platforms, Inc. and affiliates. All rights reserved."),
    ("icu (prebuilt library)", Licence::Unicode3, "2016-2026 Unicode, Inc."),
    (
        "jemalloc (prebuilt library)",
        Licence::Bsd2,
        "2002-present Jason Evans, 2007-2012 Mozilla Foundation, 2009-present Facebook, Inc. All rights reserved.",
    ),
    ("pybind11 (prebuilt library)", Licence::Bsd3, "2016 Wenzel Jakob. All rights reserved."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;
    use crate::dist::licences;
    use crate::shell;

    #[test]
    fn every_project_in_the_source_of_duckdb_has_its_licence() {
        let source = licences::directory_of("libduckdb-sys").unwrap().join("duckdb.tar.gz");
        let listed = shell::capture(Command::new("tar").arg("-tzf").arg(&source)).unwrap();
        let there: BTreeSet<&str> = listed
            .lines()
            .filter_map(|path| path.strip_prefix("duckdb/third_party/")?.split('/').next())
            .filter(|name| !name.is_empty())
            .collect();
        let named: BTreeSet<&str> =
            IN_DUCKDB.iter().map(|(name, ..)| *name).filter(|name| !name.contains('(')).collect();
        assert_eq!(there, named);
    }

    #[test]
    fn the_text_of_a_licence_begins_with_its_holder() {
        for (name, licence, holder) in IN_DUCKDB {
            let text = licence.text(holder);
            assert!(text.starts_with(&format!("Copyright (c) {holder}\n\n")) && text.len() > 500, "{name}");
        }
    }
}
