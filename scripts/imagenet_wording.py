"""How ImageNet's 1,000 classes are worded for a model of sound: which belong together, and how they sound.

The class names themselves come from torchvision. Here stand only the groups (classes that one sound would
fit), a plainer name where ImageNet's is misleading, and a phrase for the sound where the thing has a typical
one.
"""

from __future__ import annotations

from dataclasses import dataclass

from mfv2a.models.efficientnet import PATTERN

# first class, last class, group, its sound ("" = none in particular)
RANGES: tuple[tuple[int, int, str, str], ...] = (
    (0, 6, "fish", ""),
    (389, 397, "fish", ""),
    (7, 8, "chicken", "a rooster crowing, a hen clucking"),
    (9, 24, "bird", "birds singing and chirping"),
    (80, 100, "bird", "birds singing and chirping"),
    (127, 146, "bird", "birds singing and chirping"),
    (97, 100, "duck or goose", "ducks quacking, a goose honking"),
    (25, 29, "newt", ""),
    (30, 32, "frog", "a frog croaking"),
    (33, 37, "turtle", ""),
    (38, 50, "lizard", ""),
    (52, 68, "snake", "a snake hissing"),
    (70, 79, "spider", ""),
    (108, 117, "sea animal", ""),
    (118, 126, "crab", ""),
    (147, 150, "sea mammal", "a whale calling in the water"),
    (151, 268, "dog", "a dog barking"),
    (269, 275, "wolf", "a wolf howling"),
    (276, 280, "fox", ""),
    (281, 285, "cat", "a cat meowing"),
    (286, 293, "big cat", "a lion roaring"),
    (294, 297, "bear", "a bear growling"),
    (300, 307, "beetle", ""),
    (308, 309, "bee or fly", "an insect buzzing"),
    (311, 312, "cricket", "crickets chirping"),
    (319, 320, "dragonfly", "wings of an insect fluttering"),
    (321, 326, "butterfly", ""),
    (330, 332, "rabbit", ""),
    (341, 343, "pig", "a pig grunting"),
    (345, 347, "cattle", "a cow mooing"),
    (348, 350, "sheep or goat", "a sheep bleating"),
    (351, 353, "antelope", ""),
    (356, 362, "weasel", ""),
    (365, 369, "ape", "an ape screaming"),
    (370, 384, "monkey", "monkeys chattering"),
    (385, 386, "elephant", "an elephant trumpeting"),
    (928, 969, "food", ""),
    (985, 986, "flower", ""),
    (991, 997, "mushroom", ""),
    (976, 978, "sea shore", "waves breaking on the shore"),
)

# group, its sound, and the classes in it
SETS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("horse", "horse hooves clopping", (339, 603)),
    ("elephant", "an elephant trumpeting", (101,)),
    ("keyboard", "typing on a computer keyboard", (508, 810, 878, 681, 620)),
    ("guitar", "a guitar being played", (402, 420, 546)),
    ("piano", "a piano being played", (579, 881)),
    ("violin or cello", "a violin being played", (486, 889)),
    ("drum", "drums being played, drum hits", (541, 542, 822)),
    ("bell", "a bell ringing", (442, 494, 577)),
    ("brass instrument", "a trumpet being played", (513, 566, 875)),
    ("woodwind", "a flute being played", (432, 558, 683, 684, 699, 776)),
    ("accordion or organ", "an organ being played", (401, 593, 687)),
    ("xylophone", "a marimba being played with mallets", (642,)),
    ("train", "a train passing on rails", (466, 547, 565, 705, 820)),
    ("tram or bus", "a bus driving by", (654, 779, 829, 874)),
    (
        "car",
        "a car engine, a car driving by",
        (436, 468, 479, 511, 609, 627, 656, 661, 717, 751, 817, 581, 475),
    ),
    ("truck", "the diesel engine of a truck", (569, 675, 864, 867, 757)),
    ("siren", "the siren of an emergency vehicle", (407, 555, 734)),
    ("motorcycle", "a motorcycle engine", (665, 670)),
    ("tractor", "the engine of a tractor", (595, 730, 856, 866)),
    ("bicycle", "a bicycle rolling by", (444, 671, 870, 880)),
    ("boat", "water lapping against a boat", (472, 484, 536, 554, 576, 625, 718, 780, 871, 914, 693)),
    ("ship", "the horn and engine of a ship", (403, 510, 628, 694)),
    ("speedboat", "the motor of a speedboat", (814,)),
    ("aeroplane", "an aeroplane flying over", (404, 895, 908)),
    ("rocket", "a rocket taking off", (657, 744, 812)),
    ("gun", "gunshots", (413, 471, 763, 764)),
    ("hammer", "a hammer hitting a nail", (587, 677)),
    ("saw", "a chainsaw cutting wood", (491, 634)),
    ("drill", "an electric drill", (740,)),
    ("axe", "an axe chopping wood", (596, 499)),
    ("clock", "a clock ticking", (409, 826, 892, 604, 531)),
    ("telephone", "a telephone ringing", (528, 707, 487)),
    ("sewing machine", "a sewing machine running", (786,)),
    ("printer", "a printer printing", (713, 742)),
    ("lawn mower", "the engine of a lawn mower", (621,)),
    ("fan", "an electric fan humming", (545,)),
    ("vacuum cleaner", "a vacuum cleaner", (882,)),
    ("hair dryer", "a hair dryer blowing", (589,)),
    ("washing machine", "a washing machine running", (897, 534)),
    ("fountain", "water splashing in a fountain", (562,)),
    ("geyser", "hot water and steam bursting out", (974,)),
    ("river or lake", "water flowing, a stream", (975, 525, 979, 460)),
    ("mountain", "wind over the mountains", (970, 972, 980)),
    ("coral reef", "bubbles under water", (973, 983, 801)),
    ("fire", "a fire crackling", (862, 470, 644)),
    ("stove", "a fire in a stove", (827, 556)),
    ("frying pan", "food frying in a pan", (567, 909)),
    ("kettle", "water boiling, pouring into a cup", (505, 550, 725, 849)),
    ("cup", "a cup set down on a table", (504, 968, 967)),
    ("bottle", "a glass bottle clinking", (440, 737, 898, 907)),
    ("glass", "glasses clinking", (441, 572, 966)),
    ("bathtub", "water running into a tub", (435, 876)),
    ("sink", "water running from a tap", (896,)),
    ("toilet", "a toilet flushing", (861,)),
    ("bucket", "water dripping into a bucket", (463, 756)),
    ("basketball", "a basketball bouncing on the floor", (430,)),
    ("tennis", "a racket hitting a tennis ball", (752, 852)),
    ("table tennis", "a ping-pong ball bouncing", (722,)),
    ("ball", "a ball being kicked", (768, 805, 890)),
    ("baseball", "a bat hitting a baseball", (429, 981)),
    ("golf", "a golf club hitting the ball", (574,)),
    ("billiards", "billiard balls knocking together", (736,)),
    ("boxing", "punches on a bag", (747,)),
    ("skiing", "skis sliding on snow", (795,)),
    ("maraca", "maracas shaking", (641,)),
    ("harp", "a harp being plucked", (594,)),
    ("whistle", "a whistle blowing", (902,)),
    ("shoe", "footsteps", (514, 630, 770, 774, 502)),
    ("umbrella", "rain falling on an umbrella", (879,)),
    ("microphone", "someone speaking", (650, 819)),
    ("loudspeaker", "music from a loudspeaker", (632, 754)),
    ("switch", "a switch clicking", (844,)),
    ("bubble", "bubbles popping", (971,)),
    ("coins", "coins falling", (719, 800)),
    ("lighter", "a lighter clicking", (626,)),
    ("balloon", "", (417,)),
    ("bow and arrow", "an arrow shot from a bow", (456,)),
    ("door", "a sliding door", (799,)),
    ("church", "church bells ringing", (497, 663)),
    ("helmet", "", (518, 560)),
    ("seal", "a sea lion barking", (150,)),
)

# Groups that are judged as one: whether it is a car or a truck may flicker while "vehicle" is sure.
COARSE: dict[str, str] = {
    **dict.fromkeys(("river or lake", "sea shore", "fountain", "geyser", "coral reef"), "water"),
    **dict.fromkeys(("car", "truck", "tram or bus", "siren", "tractor"), "vehicle"),
    **dict.fromkeys(("boat", "ship", "speedboat"), "boat"),
    **dict.fromkeys(("duck or goose", "chicken"), "bird"),
    **dict.fromkeys(("guitar", "violin or cello", "harp"), "string instrument"),
    **dict.fromkeys(("brass instrument", "woodwind"), "wind instrument"),
    **dict.fromkeys(("cup", "bottle", "glass", "kettle"), "cup or bottle"),
    **dict.fromkeys(("ball", "basketball", "tennis", "table tennis", "baseball", "golf"), "ball game"),
    **dict.fromkeys(("ape", "monkey"), "monkey"),
    **dict.fromkeys(("wolf", "dog"), "dog"),
    **dict.fromkeys(("big cat", "cat"), "cat"),
    **dict.fromkeys(("fire", "stove"), "fire"),
}

# Flat patterns, screens and print: what the classifier answers when it sees graphics, noise or a texture.
PATTERNS: tuple[int, ...] = (
    *(111, 419, 446, 458, 489, 530, 539, 549, 599, 611, 643, 646, 664, 688, 712, 714, 735, 741, 750, 767),
    *(
        416,
        583,
        584,
        602,
        702,
        769,
        840,
        782,
        794,
        815,
        818,
        838,
        851,
        854,
        885,
        904,
        905,
        911,
        916,
        917,
        918,
        921,
        922,
    ),
)

# ImageNet's own word -> what is meant
PLAIN: dict[int, str] = {
    7: "rooster",
    97: "duck",
    134: "crane",
    339: "horse",
    400: "academic gown",
    408: "amphibious vehicle",
    418: "ballpoint pen",
    437: "lighthouse",
    442: "church bell",
    446: "ring binder",
    456: "archery bow",
    458: "brass plaque",
    468: "taxi",
    479: "car wheel",
    494: "wind chime",
    517: "construction crane",
    545: "electric fan",
    556: "fireplace screen",
    574: "golf ball",
    581: "car grille",
    589: "hair dryer",
    606: "clothes iron",
    620: "laptop computer",
    628: "ocean liner",
    634: "sawmill",
    654: "minibus",
    664: "computer monitor",
    673: "computer mouse",
    681: "notebook computer",
    717: "pickup truck",
    726: "carpenter's plane",
    744: "missile",
    746: "ice hockey puck",
    751: "racing car",
    752: "tennis racket",
    758: "fishing reel",
    776: "saxophone",
    800: "slot machine",
    810: "space bar of a keyboard",
    829: "tram",
    844: "light switch",
    847: "military tank",
    861: "toilet",
    862: "burning torch",
    881: "upright piano",
    882: "vacuum cleaner",
    896: "washbasin",
    897: "washing machine",
    970: "snowy mountains",
    975: "lake shore",
    976: "rocky coast",
    977: "sandy beach",
    978: "sea shore",
    981: "baseball player",
    982: "bridegroom",
    984: "rapeseed field",
    998: "ear of corn",
}


@dataclass(frozen=True)
class Wording:
    """One class as the recognizer knows it: name, group, the text of its name, the text of its sound."""

    name: str
    group: str
    text: str
    sound: str


def word_classes(categories: list[str]) -> list[Wording]:
    """Word all classes.

    Args:
        categories: torchvision's 1,000 names in order.

    Returns:
        One wording a class; "golden retriever" becomes the text "golden retriever, a dog" of the group "dog".
    """
    group = {i: (name, sound) for first, last, name, sound in RANGES for i in range(first, last + 1)}
    group |= {i: (name, sound) for name, sound, members in SETS for i in members}
    group |= dict.fromkeys(PATTERNS, (PATTERN, ""))
    worded = []
    for i, category in enumerate(categories):
        name = PLAIN.get(i, category)
        kind, sound = group.get(i, (name, ""))
        has_kind = kind not in (name, PATTERN) and kind.split()[0] not in name.lower().split()
        text = f"{name}, {article(kind)} {kind}" if has_kind else f"{article(name)} {name}"
        worded.append(Wording(name, COARSE.get(kind, kind), text, sound))
    return worded


def article(word: str) -> str:
    """The article "a" or "an" before a word."""
    return "an" if word[0].lower() in "aeiou" else "a"
