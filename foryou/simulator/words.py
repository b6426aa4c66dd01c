"""The made-up words of the catalogue: genres, titles, hashtags, names, places. All synthetic, all ours."""

UNTAGGED = "everyday"

# genre → (things to show, hashtags). A title is a pattern with things of its genre.
THINGS: dict[str, tuple[str, ...]] = {
    "everyday": ("morning routine", "tiny flat", "grocery run", "rainy Sunday", "first snow", "late bus", "desk tour"),
    "comedy": ("landlord", "group chat", "job interview", "in-laws", "wrong number", "speed date", "office fridge"),
    "dance": ("hallway shuffle", "two-step", "wedding floor", "locking drill", "salsa turn", "street cypher", "waltz"),
    "music": ("loop pedal", "kitchen guitar", "choir practice", "broken piano", "beat tape", "busking spot", "chorus"),
    "cooking": (
        "flatbread",
        "plum dumplings",
        "miso butter corn",
        "lentil stew",
        "tomato tart",
        "pickles",
        "crispy rice",
    ),
    "street-food": (
        "night market",
        "noodle cart",
        "corner grill",
        "dosa stand",
        "taco window",
        "fried dough",
        "skewers",
    ),
    "pets": ("three-legged cat", "puppy", "grumpy parrot", "old hound", "rescue kitten", "hamster maze", "goose"),
    "wildlife": ("kingfisher", "fox den", "tide pool", "urban owl", "otter family", "moth trap", "badger path"),
    "football": ("free kick", "five-a-side", "goal line save", "nutmeg", "away day", "corner routine", "keeper drill"),
    "basketball": (
        "crossover",
        "half-court shot",
        "street court",
        "no-look pass",
        "buzzer beater",
        "zone press",
        "layup",
    ),
    "fitness": (
        "push-up ladder",
        "ten-minute core",
        "kettlebell flow",
        "couch to 5k",
        "mobility drill",
        "plank",
        "rope",
    ),
    "running": ("hill repeats", "night run", "trail marathon", "park loop", "long run", "interval track", "new shoes"),
    "beauty": (
        "winged liner",
        "five-minute face",
        "skin barrier",
        "red lip",
        "sunscreen test",
        "brow shape",
        "glass skin",
    ),
    "hair": ("curl routine", "home fringe", "box braids", "fade", "copper dye", "silk press", "low bun"),
    "fashion": (
        "thrift haul",
        "capsule wardrobe",
        "linen suit",
        "mended jeans",
        "vintage coat",
        "sneaker rack",
        "scarf",
    ),
    "travel": ("night train", "mountain hut", "island ferry", "old town", "desert road", "hostel roof", "border walk"),
    "city-life": ("roof garden", "tram line", "corner shop", "canal walk", "blue hour", "market hall", "courtyard"),
    "gaming": ("speedrun", "boss fight", "cosy farm", "ranked climb", "pixel dungeon", "couch co-op", "secret room"),
    "esports": ("grand final", "clutch round", "draft", "last circle", "ace", "map control", "team timeout"),
    "tech": ("old phone", "e-ink screen", "smart plug", "tiny server", "split keyboard", "drone", "battery swap"),
    "coding": ("one-line fix", "terminal setup", "side project", "legacy script", "regex", "code review", "tiny game"),
    "science": ("vacuum chamber", "ferrofluid", "slime mould", "prism", "sound waves", "dry ice", "magnet trick"),
    "space": ("moon crater", "comet", "rocket landing", "Saturn", "night sky", "star trail", "meteor shower"),
    "history": ("Roman road", "lost port", "siege tower", "old map", "silk letter", "bronze mirror", "first bicycle"),
    "books": ("slow mystery", "reading nook", "library haul", "short stories", "annotated copy", "poem", "sad ending"),
    "film": (
        "one-take scene",
        "practical effect",
        "quiet ending",
        "title sequence",
        "stunt rehearsal",
        "score",
        "prop",
    ),
    "art": ("ink wash", "gouache sky", "clay bust", "life drawing", "mural", "lino print", "colour study"),
    "crafts": ("leather wallet", "felt fox", "crochet blanket", "candle mould", "origami lamp", "beadwork", "quilt"),
    "diy": ("squeaky door", "plywood shelf", "leaky tap", "paint job", "balcony bench", "tool wall", "garden gate"),
    "gardening": ("tomato bed", "compost heap", "bonsai", "window herbs", "wild meadow", "rose cutting", "bean tent"),
    "farming": ("milking shed", "lambing", "rice terrace", "orchard", "beehive", "tractor repair", "first harvest"),
    "fishing": ("river trout", "ice hole", "sea bass", "hand line", "fly knot", "dawn pier", "mackerel"),
    "cars": ("barn find", "rally stage", "gearbox", "electric swap", "drift day", "rust repair", "tiny van"),
    "motorbikes": ("café racer", "mountain pass", "chain job", "first ride", "sidecar", "dirt track", "helmet cam"),
    "parenting": ("nap time", "lunch box", "first steps", "school run", "toddler logic", "bedtime story", "lost shoe"),
    "school": ("exam week", "dorm room", "study timer", "group project", "field trip", "flash cards", "last day"),
    "language": ("false friends", "tongue twister", "dialect", "loan words", "accent swap", "one new verb", "proverb"),
    "finance": ("first budget", "index fund", "rent split", "side income", "tax form", "cash envelope", "debt plan"),
    "magic": (
        "card force",
        "coin vanish",
        "street mind-reading",
        "rope trick",
        "cups and balls",
        "fake thumb",
        "bluff",
    ),
    "calm": ("rain on a tent", "tea ceremony", "slow lathe", "snow walk", "page turning", "soap cutting", "waves"),
}
GENRES: tuple[str, ...] = tuple(THINGS)

# KuaiRand's tags are numbers without names. Ours: the most frequent tags get a genre each, the rare ones share.
_TAGS = (
    39, 3, 20, 12, 9, 6, 7, 2, 1, 15, 17, 8, 11, 62, 28, 25, 19, 4, 5, 10, 26, 18, 38, 27, 67, 14, 36, 24, 21, 22, 29,
    34, 13, 35, 30, 42, 65, 16, 37, 40, 56, 23, 68, 43, 60, 54,
)  # fmt: skip
_NAMES = (
    "comedy", "dance", "music", "pets", "cooking", "beauty", "football", "travel", "gaming", "fashion", "parenting",
    "fitness", "street-food", "film", "cars", "art", "science", "city-life", "wildlife", "tech", "hair", "crafts",
    "basketball", "diy", "calm", "school", "gardening", "history", "farming", "running", "motorbikes", "books",
    "language", "finance", "fishing", "space", "coding", "magic", "esports", "everyday",
)  # fmt: skip
GENRE_OF_TAG: dict[int, str] = {tag: _NAMES[i % len(_NAMES)] for i, tag in enumerate(_TAGS)}

PATTERNS: tuple[str, ...] = (
    "{adj} {thing} in {place}",
    "the {thing} nobody asked for",
    "day {n} of the {thing}",
    "{thing}, but {twist}",
    "I tried the {adj} {thing}",
    "how we fixed the {thing}",
    "{n} ways with a {thing}",
    "{place}: {adj} {thing}",
    "wait for the {thing}",
    "{thing} (part {n})",
    "why the {thing} works",
    "my {adj} {thing}, {twist}",
)
ADJECTIVES: tuple[str, ...] = (
    "perfect", "strange", "quiet", "slow", "enormous", "tiny", "honest", "forgotten", "golden", "clumsy", "midnight",
    "budget", "homemade", "unlikely", "brilliant", "rainy", "stubborn", "famous", "first", "last", "borrowed", "soft",
)  # fmt: skip
TWISTS: tuple[str, ...] = (
    "it gets weird", "in one take", "with no budget", "at 5 a.m.", "blindfolded", "in the rain", "one year later",
    "and it worked", "my nan approves", "in slow motion", "for beginners", "without talking", "the honest version",
)  # fmt: skip
PLACES: tuple[str, ...] = (
    "Lisbon", "Osaka", "Recife", "Lagos", "Kraków", "Oaxaca", "Busan", "Izmir", "Lyon", "Leeds", "Pune", "Bandung",
    "Tromsø", "Medellín", "Accra", "Tbilisi", "Ghent", "Perth", "Halifax", "Dakar", "the kitchen", "the garage",
)  # fmt: skip
TRENDING: tuple[str, ...] = (
    "fyp",
    "viral",
    "weekend",
    "challenge",
    "oneminute",
    "duetme",
    "learnontheapp",
    "throwback",
)

FIRST: tuple[str, ...] = (
    "mira", "tomas", "aiko", "lucia", "kwame", "noor", "freya", "dario", "ines", "yusuf", "hana", "oskar", "priya",
    "leo", "zainab", "mateo", "elif", "juna", "soren", "camila", "arjun", "billie", "chidi", "wren", "paulo", "sana",
)  # fmt: skip
SECOND: tuple[str, ...] = (
    "makes", "outside", "daily", "studio", "on.film", "at.home", "after.dark", "unboxed", "and.co", "in.motion",
    "notes", "explains", "lab", "corner", "club", "walks", "tries", "archive", "live", "radio", "atlas", "works",
)  # fmt: skip

# (region, language, share). A person's and a video's home; no claim about the real world.
HOMES: tuple[tuple[str, str, float], ...] = (
    ("US", "en", 0.20), ("GB", "en", 0.08), ("IN", "hi", 0.12), ("BR", "pt", 0.12),
    ("MX", "es", 0.09), ("ES", "es", 0.05), ("ID", "id", 0.10), ("JP", "ja", 0.07),
    ("KR", "ko", 0.04), ("DE", "de", 0.05), ("FR", "fr", 0.05), ("TR", "tr", 0.03),
)  # fmt: skip
JURISDICTION: dict[str, str] = {"DE": "gdpr", "FR": "gdpr", "ES": "gdpr", "GB": "uk-gdpr", "US": "ccpa", "BR": "lgpd"}
