"""The 102 languages of FLEURS (Conneau et al., SLT 2022): codes, names, families, scripts, and counts to check against.

Rows are those of the published tables of July 2022; names, families and codes are those of the corpus' own card.
"""

from __future__ import annotations

from typing import NamedTuple

WE = "Western European"
EE = "Eastern European"
CMN = "Central Asia, Middle East and North Africa"
SSA = "Sub-Saharan Africa"
SA = "South Asia"
SEA = "South-East Asia"
CJK = "Chinese, Japanese and Korean"
FAMILIES = (WE, EE, CMN, SSA, SA, SEA, CJK)
"""The corpus' seven geographical groups, in its card's order."""
UNSPACED_SCRIPTS = frozenset(("Hans", "Hant", "Jpan", "Khmr", "Laoo", "Mymr", "Thai"))
"""Scripts (ISO 15924) that set no spaces between words: what is written in them is scored by characters."""


class FleursLanguage(NamedTuple):
    """One language, as the corpus publishes it."""

    code: str
    """The corpus' own: `en_us`, `cmn_hans_cn`."""
    name: str
    """In English."""
    iso639_3: str
    """Three letters of the language, or of its main variety."""
    script: str
    """ISO 15924."""
    family: str
    """One of `FAMILIES`."""
    num_train: int
    """Published utterances of a split."""
    num_dev: int
    num_test: int
    num_test_sentences: int
    """Distinct sentences in the test split; each is read by up to three speakers."""
    test_h: float
    """Hours of the test split, rounded."""

    @property
    def iso639(self) -> str:
        """Two letters where the language has them, else three: `en`, `cmn`."""
        return self.code.partition("_")[0]

    @property
    def is_spaced(self) -> bool:
        """Whether its script sets spaces between words."""
        return self.script not in UNSPACED_SCRIPTS

    def published(self, split: str) -> int:
        """Utterances of `train`, `dev` or `test`."""
        return {"train": self.num_train, "dev": self.num_dev, "test": self.num_test}[split]


# fmt: off
LANGUAGES: tuple[FleursLanguage, ...] = (
    FleursLanguage("af_za", "Afrikaans", "afr", "Latn", SSA, 1032, 198, 264, 233, 0.9),
    FleursLanguage("am_et", "Amharic", "amh", "Ethi", SSA, 3163, 223, 516, 296, 1.6),
    FleursLanguage("ar_eg", "Arabic", "ara", "Arab", CMN, 2104, 295, 428, 283, 1.3),
    FleursLanguage("as_in", "Assamese", "asm", "Beng", SA, 2812, 418, 984, 349, 3.5),
    FleursLanguage("ast_es", "Asturian", "ast", "Latn", WE, 2511, 398, 946, 349, 2.4),
    FleursLanguage("az_az", "Azerbaijani", "aze", "Latn", CMN, 2665, 400, 923, 343, 3.2),
    FleursLanguage("be_by", "Belarusian", "bel", "Cyrl", EE, 2433, 408, 967, 349, 4.0),
    FleursLanguage("bg_bg", "Bulgarian", "bul", "Cyrl", EE, 2973, 395, 658, 344, 1.9),
    FleursLanguage("bn_in", "Bengali", "ben", "Beng", SA, 3006, 402, 920, 349, 3.4),
    FleursLanguage("bs_ba", "Bosnian", "bos", "Latn", WE, 3091, 400, 925, 349, 3.2),
    FleursLanguage("ca_es", "Catalan", "cat", "Latn", WE, 2300, 404, 940, 350, 3.1),
    FleursLanguage("ceb_ph", "Cebuano", "ceb", "Latn", SEA, 3261, 225, 541, 301, 2.2),
    FleursLanguage("ckb_iq", "Sorani Kurdish", "ckb", "Arab", CMN, 3040, 386, 922, 348, 3.0),
    FleursLanguage("cmn_hans_cn", "Mandarin Chinese", "cmn", "Hans", CJK, 3246, 409, 945, 349, 3.1),
    FleursLanguage("cs_cz", "Czech", "ces", "Latn", EE, 2811, 305, 723, 338, 2.4),
    FleursLanguage("cy_gb", "Welsh", "cym", "Latn", WE, 3427, 447, 1021, 350, 4.3),
    FleursLanguage("da_dk", "Danish", "dan", "Latn", WE, 2465, 395, 930, 350, 2.9),
    FleursLanguage("de_de", "German", "deu", "Latn", WE, 2987, 363, 862, 347, 3.2),
    FleursLanguage("el_gr", "Greek", "ell", "Grek", WE, 3215, 271, 650, 333, 1.9),
    FleursLanguage("en_us", "English", "eng", "Latn", WE, 2602, 394, 647, 350, 1.8),
    FleursLanguage("es_419", "Spanish", "spa", "Latn", WE, 2796, 408, 908, 348, 3.1),
    FleursLanguage("et_ee", "Estonian", "est", "Latn", EE, 2501, 387, 893, 345, 3.0),
    FleursLanguage("fa_ir", "Persian", "fas", "Arab", CMN, 3101, 369, 871, 324, 3.7),
    FleursLanguage("ff_sn", "Fula", "ful", "Latn", SSA, 3235, 273, 660, 330, 2.6),
    FleursLanguage("fi_fi", "Finnish", "fin", "Latn", WE, 2704, 415, 918, 348, 3.3),
    FleursLanguage("fil_ph", "Filipino", "fil", "Latn", SEA, 1884, 418, 964, 349, 4.8),
    FleursLanguage("fr_fr", "French", "fra", "Latn", WE, 3193, 289, 676, 332, 2.0),
    FleursLanguage("ga_ie", "Irish", "gle", "Latn", WE, 2845, 369, 842, 343, 3.5),
    FleursLanguage("gl_es", "Galician", "glg", "Latn", WE, 2175, 395, 927, 347, 2.6),
    FleursLanguage("gu_in", "Gujarati", "guj", "Gujr", SA, 3145, 432, 1000, 349, 2.9),
    FleursLanguage("ha_ng", "Hausa", "hau", "Latn", SSA, 3259, 296, 621, 331, 3.3),
    FleursLanguage("he_il", "Hebrew", "heb", "Hebr", CMN, 3242, 328, 792, 347, 2.1),
    FleursLanguage("hi_in", "Hindi", "hin", "Deva", SA, 2120, 239, 418, 265, 1.3),
    FleursLanguage("hr_hr", "Croatian", "hrv", "Latn", WE, 3461, 377, 914, 349, 2.6),
    FleursLanguage("hu_hu", "Hungarian", "hun", "Latn", WE, 3095, 407, 905, 348, 3.1),
    FleursLanguage("hy_am", "Armenian", "hye", "Armn", EE, 3053, 395, 932, 350, 3.0),
    FleursLanguage("id_id", "Indonesian", "ind", "Latn", SEA, 2579, 350, 687, 328, 2.4),
    FleursLanguage("ig_ng", "Igbo", "ibo", "Latn", SSA, 2839, 413, 969, 350, 4.8),
    FleursLanguage("is_is", "Icelandic", "isl", "Latn", WE, 926, 36, 46, 45, 0.2),
    FleursLanguage("it_it", "Italian", "ita", "Latn", WE, 3030, 391, 865, 346, 3.5),
    FleursLanguage("ja_jp", "Japanese", "jpn", "Jpan", CJK, 2292, 266, 650, 321, 2.4),
    FleursLanguage("jv_id", "Javanese", "jav", "Latn", SEA, 3051, 295, 728, 336, 2.8),
    FleursLanguage("ka_ge", "Georgian", "kat", "Geor", EE, 1491, 409, 979, 350, 3.1),
    FleursLanguage("kam_ke", "Kamba", "kam", "Latn", SSA, 3340, 338, 827, 346, 3.7),
    FleursLanguage("kea_cv", "Kabuverdianu", "kea", "Latn", WE, 2715, 366, 864, 344, 3.3),
    FleursLanguage("kk_kz", "Kazakh", "kaz", "Cyrl", CMN, 3200, 369, 856, 349, 3.8),
    FleursLanguage("km_kh", "Khmer", "khm", "Khmr", SEA, 1675, 326, 771, 335, 3.2),
    FleursLanguage("kn_in", "Kannada", "kan", "Knda", SA, 2283, 368, 838, 344, 3.2),
    FleursLanguage("ko_kr", "Korean", "kor", "Hang", CJK, 2307, 226, 382, 270, 1.3),
    FleursLanguage("ky_kg", "Kyrgyz", "kir", "Cyrl", CMN, 2818, 422, 977, 350, 3.2),
    FleursLanguage("lb_lu", "Luxembourgish", "ltz", "Latn", WE, 2502, 408, 934, 349, 2.7),
    FleursLanguage("lg_ug", "Ganda", "lug", "Latn", SSA, 2478, 306, 723, 339, 3.4),
    FleursLanguage("ln_cd", "Lingala", "lin", "Latn", SSA, 3350, 209, 478, 285, 2.6),
    FleursLanguage("lo_la", "Lao", "lao", "Laoo", SEA, 1809, 191, 405, 261, 1.4),
    FleursLanguage("lt_lt", "Lithuanian", "lit", "Latn", EE, 2937, 416, 986, 349, 3.0),
    FleursLanguage("luo_ke", "Luo", "luo", "Latn", SSA, 2384, 102, 256, 194, 1.0),
    FleursLanguage("lv_lv", "Latvian", "lvs", "Latn", EE, 2110, 356, 851, 346, 2.8),
    FleursLanguage("mi_nz", "Maori", "mri", "Latn", SEA, 3249, 429, 1008, 349, 5.8),
    FleursLanguage("mk_mk", "Macedonian", "mkd", "Cyrl", EE, 2337, 415, 973, 348, 3.2),
    FleursLanguage("ml_in", "Malayalam", "mal", "Mlym", SA, 3043, 418, 958, 344, 3.9),
    FleursLanguage("mn_mn", "Mongolian", "mon", "Cyrl", CMN, 3074, 405, 949, 350, 2.9),
    FleursLanguage("mr_in", "Marathi", "mar", "Deva", SA, 3269, 443, 1015, 349, 3.9),
    FleursLanguage("ms_my", "Malay", "msa", "Latn", SEA, 2667, 324, 749, 337, 2.3),
    FleursLanguage("mt_mt", "Maltese", "mlt", "Latn", WE, 2895, 404, 926, 348, 3.5),
    FleursLanguage("my_mm", "Burmese", "mya", "Mymr", SEA, 3058, 384, 880, 346, 3.8),
    FleursLanguage("nb_no", "Norwegian", "nob", "Latn", WE, 3167, 163, 357, 247, 1.2),
    FleursLanguage("ne_np", "Nepali", "npi", "Deva", SA, 3332, 305, 726, 343, 2.3),
    FleursLanguage("nl_nl", "Dutch", "nld", "Latn", WE, 2918, 171, 364, 251, 1.0),
    FleursLanguage("nso_za", "Northern Sotho", "nso", "Latn", SSA, 1990, 363, 790, 341, 4.2),
    FleursLanguage("ny_mw", "Nyanja", "nya", "Latn", SSA, 2694, 311, 761, 334, 3.5),
    FleursLanguage("oc_fr", "Occitan", "oci", "Latn", WE, 3379, 427, 998, 350, 4.5),
    FleursLanguage("om_et", "Oromo", "orm", "Latn", SSA, 1701, 19, 41, 36, 0.1),
    FleursLanguage("or_in", "Oriya", "ori", "Orya", SA, 1081, 392, 883, 334, 3.0),
    FleursLanguage("pa_in", "Punjabi", "pan", "Guru", SA, 1923, 251, 574, 279, 1.8),
    FleursLanguage("pl_pl", "Polish", "pol", "Latn", EE, 2841, 338, 758, 330, 2.1),
    FleursLanguage("ps_af", "Pashto", "pus", "Arab", CMN, 2513, 217, 512, 287, 1.8),
    FleursLanguage("pt_br", "Portuguese", "por", "Latn", WE, 2793, 386, 919, 349, 3.2),
    FleursLanguage("ro_ro", "Romanian", "ron", "Latn", EE, 2891, 387, 883, 348, 2.5),
    FleursLanguage("ru_ru", "Russian", "rus", "Cyrl", EE, 2562, 356, 775, 344, 2.5),
    FleursLanguage("sd_in", "Sindhi", "snd", "Arab", SA, 3443, 426, 980, 350, 3.3),
    FleursLanguage("sk_sk", "Slovak", "slk", "Latn", EE, 1957, 352, 792, 339, 2.6),
    FleursLanguage("sl_si", "Slovenian", "slv", "Latn", EE, 2512, 349, 834, 347, 2.3),
    FleursLanguage("sn_zw", "Shona", "sna", "Latn", SSA, 2463, 393, 925, 348, 3.8),
    FleursLanguage("so_so", "Somali", "som", "Latn", SSA, 3149, 432, 1019, 350, 3.9),
    FleursLanguage("sr_rs", "Serbian", "srp", "Cyrl", EE, 2944, 290, 700, 327, 2.1),
    FleursLanguage("sv_se", "Swedish", "swe", "Latn", WE, 2385, 330, 759, 341, 2.3),
    FleursLanguage("sw_ke", "Swahili", "swh", "Latn", SSA, 3070, 211, 487, 312, 1.9),
    FleursLanguage("ta_in", "Tamil", "tam", "Taml", SA, 2367, 377, 591, 336, 2.1),
    FleursLanguage("te_in", "Telugu", "tel", "Telu", SA, 2302, 311, 472, 302, 1.4),
    FleursLanguage("tg_tj", "Tajik", "tgk", "Cyrl", CMN, 2298, 240, 600, 319, 2.4),
    FleursLanguage("th_th", "Thai", "tha", "Thai", SEA, 2602, 439, 1021, 349, 3.4),
    FleursLanguage("tr_tr", "Turkish", "tur", "Latn", CMN, 2526, 338, 743, 329, 2.6),
    FleursLanguage("uk_ua", "Ukrainian", "ukr", "Cyrl", EE, 2810, 325, 750, 329, 2.3),
    FleursLanguage("umb_ao", "Umbundu", "umb", "Latn", SSA, 1597, 135, 379, 258, 2.7),
    FleursLanguage("ur_pk", "Urdu", "urd", "Arab", SA, 2109, 267, 299, 230, 0.8),
    FleursLanguage("uz_uz", "Uzbek", "uzn", "Latn", CMN, 2943, 363, 862, 345, 2.8),
    FleursLanguage("vi_vn", "Vietnamese", "vie", "Latn", SEA, 2994, 361, 857, 347, 3.0),
    FleursLanguage("wo_sn", "Wolof", "wol", "Latn", SSA, 2279, 169, 371, 239, 1.7),
    FleursLanguage("xh_za", "Xhosa", "xho", "Latn", SSA, 3466, 446, 1041, 350, 3.8),
    FleursLanguage("yo_ng", "Yoruba", "yor", "Latn", SSA, 2339, 378, 831, 340, 3.8),
    FleursLanguage("yue_hant_hk", "Cantonese Chinese", "yue", "Hant", CJK, 1939, 362, 819, 339, 2.6),
    FleursLanguage("zu_za", "Zulu", "zul", "Latn", SSA, 2858, 354, 854, 346, 3.9),
)
"""By code; the position is the corpus' `lang_id`."""
# fmt: on

BY_CODE = {language.code: language for language in LANGUAGES}
