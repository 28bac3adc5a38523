"""How an image recogniser would name what makes a sound.

Drawn scenes mean nothing to a recogniser of photographs. In training, the names it would give filmed sources of
the same sound stand in, so that the generator learns to follow them: ImageNet class names by sound label.
"""

from __future__ import annotations

# word of a sound label -> names of things a recogniser knows that make such a sound
SEEN_AS: dict[str, tuple[str, ...]] = {
    "dog": ("Labrador retriever, a dog", "German shepherd, a dog", "beagle, a dog", "dog", "Chihuahua, a dog"),
    "bark": ("Labrador retriever, a dog", "boxer, a dog", "beagle, a dog", "pug, a dog"),
    "rooster": ("cock, a bird", "hen, a bird", "rooster"),
    "bird": ("robin, a bird", "goldfinch, a bird", "jay, a bird", "indigo bunting, a bird"),
    "cat": ("tabby, a cat", "Persian cat, a cat"),
    "clock": ("analog clock", "wall clock", "digital clock", "stopwatch"),
    "tick": ("analog clock", "wall clock", "pendulum clock", "metronome"),
    "chainsaw": ("chain saw", "power saw"),
    "saw": ("chain saw", "carpenter's saw"),
    "hammer": ("hammer", "nail", "carpenter's kit, tool kit"),
    "drum": ("drum", "drumstick", "snare drum"),
    "tabla": ("drum", "drumstick"),
    "typing": ("computer keyboard", "typewriter keyboard", "laptop", "notebook computer"),
    "keyboard": ("computer keyboard", "typewriter keyboard", "laptop"),
    "bell": ("bell cote", "chime", "gong", "cowbell"),
    "gong": ("gong", "chime"),
    "wave": ("seashore", "sandbar", "promontory", "lakeside"),
    "sea": ("seashore", "sandbar", "breakwater"),
    "stream": ("fountain", "dam", "lakeside", "waterfall"),
    "water": ("fountain", "dam", "bathtub", "washbasin", "water jug"),
    "rain": ("umbrella", "window screen", "lakeside"),
    "drip": ("washbasin", "bathtub", "bucket"),
    "fire": ("torch", "stove", "fire screen", "volcano"),
    "firework": ("torch", "volcano"),
    "gun": ("rifle", "revolver", "assault rifle"),
    "shot": ("rifle", "revolver"),
    "rotor": ("electric fan", "warplane", "airliner"),
    "fan": ("electric fan",),
    "helicopter": ("warplane", "airliner", "helicopter"),
    "engine": ("sports car", "motor scooter", "tractor"),
    "train": ("steam locomotive", "freight car", "electric locomotive"),
    "car": ("sports car", "convertible", "minivan"),
    "ball": ("basketball", "soccer ball", "tennis ball", "ping-pong ball", "volleyball"),
    "foot": ("running shoe", "cowboy boot", "loafer"),
    "step": ("running shoe", "cowboy boot", "sandal"),
    "door": ("sliding door", "wardrobe", "refrigerator"),
    "chop": ("cleaver", "hatchet", "cucumber"),
    "glass": ("beer glass", "goblet", "wine bottle"),
    "break": ("goblet", "pitcher", "vase"),
    "camera": ("reflex camera", "Polaroid camera"),
    "piano": ("grand piano", "upright piano"),
    "guitar": ("acoustic guitar", "electric guitar"),
    "violin": ("violin", "cello"),
    "bass": ("acoustic guitar", "cello"),
    "flute": ("flute",),
    "baby": ("diaper", "crib", "cradle"),
    "wind": ("valley", "cliff", "alp"),
    "shaver": ("electric razor",),
    "drill": ("power drill",),
    "tearing": ("paper towel", "velvet"),
    "scrape": ("plane, carpenter's plane", "file"),
    "trashcan": ("ashcan, trash can",),
    "bottle": ("pop bottle", "water bottle", "wine bottle"),
    "cymbal": ("drum", "gong"),
    "marimba": ("marimba", "xylophone"),
}


def seen_names(label: str) -> tuple[str, ...]:
    """Names a recogniser may give the source of a sound, the label itself first."""
    words = label.lower()
    found = [name for word, names in SEEN_AS.items() if word in words for name in names]
    return (label, *dict.fromkeys(found))
