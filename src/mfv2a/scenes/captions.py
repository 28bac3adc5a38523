"""What people would write under each kind of scene: wordings to train on, and others kept for judging."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wordings:
    """Captions of one label.

    Attributes:
        training: wordings used below `scenes.HELD_OUT_SEED`.
        held_out: other wordings of the same, never used there.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...]


def _words(training: str, held_out: str) -> Wordings:
    return Wordings(
        tuple(part.strip() for part in training.split("|")), tuple(part.strip() for part in held_out.split("|"))
    )


CAPTIONS: dict[str, Wordings] = {
    "hammer_wood": _words(
        "a hammer hits wood|hammering a nail into a board|a hammer strikes a wooden block|hammering on wood|someone hammers a plank|carpentry, hammer blows on timber",
        "driving nails into a wooden beam|knocks of a hammer against a timber plank|a carpenter pounding a nail",
    ),
    "hammer_metal": _words(
        "a hammer strikes a metal plate|hammering on metal|a hammer hits an anvil|metal being hammered|clanging hammer blows on iron|a blacksmith at work",
        "a smith beats glowing iron on an anvil|loud clanks of a hammer against steel|someone bangs on a metal sheet",
    ),
    "hammer_stone": _words(
        "a hammer strikes stone|hammering on rock|chiselling stone|a hammer hits concrete|breaking rocks with a hammer|a mason hammers a stone",
        "a stonemason chipping away at a block|sharp hammer taps on a boulder|pounding a rock with a mallet",
    ),
    "impact": _words(
        "something is struck|an object hits another|an impact|things knock together|a hit|something bumps into something",
        "a collision of two items|somebody bangs on a thing|blows against an object",
    ),
    "snare_drum": _words(
        "a snare drum is played|snare drum roll|drumming on a snare|sticks hit a snare drum|a drummer plays a snare|crisp snare hits",
        "rattling hits on a marching drum|someone practises on a snare with sticks|a snare solo",
    ),
    "tom_drums": _words(
        "tom drums are played|a drummer hits the toms|drum solo on toms|drum sticks on several drums|playing the drums|deep drum hits",
        "a drum kit being played by a percussionist|booming toms in a drum fill|drumsticks pounding low drums",
    ),
    "hand_drum": _words(
        "hands play a drum|bongo drums|a conga is played|hand drumming|someone taps a djembe|beating a hand drum",
        "palms slapping a djembe skin|a percussionist on bongos|rhythmic tapping of a frame drum by hand",
    ),
    "cymbal": _words(
        "a cymbal is hit|crash cymbal|playing the cymbals|a stick strikes a cymbal|shimmering cymbal hits|ride cymbal pattern",
        "splashy crashes of a brass cymbal|a drummer hits the ride and crash|hissing cymbal strokes",
    ),
    "ball_rubber": _words(
        "a rubber ball bounces|a ball bounces on the floor|bouncing ball|a ball drops and bounces|a tennis ball bounces|a small ball bouncing lower and lower",
        "a bouncy toy ball hopping across the ground|repeated bounces of a dropped ball|a ball falls and rebounds",
    ),
    "ball_basketball": _words(
        "a basketball is dribbled|dribbling a basketball|a basketball bounces|bouncing a basketball on the court|a heavy ball bounces in a gym|playing basketball",
        "a player dribbles on a gym floor|thumping bounces of a basketball|a big inflated ball bouncing on hardwood",
    ),
    "ball_marble": _words(
        "a marble bounces|a ping pong ball bounces|a glass marble drops on a table|a small hard ball bouncing|table tennis ball bouncing|a bead falls and bounces",
        "clicking bounces of a tiny ball on tile|a ping-pong ball rattling to rest|a marble hopping on a hard floor",
    ),
    "footsteps_gravel": _words(
        "footsteps on gravel|walking on gravel|crunching steps on a gravel path|someone walks over small stones|a person running on gravel|gravel crunches underfoot",
        "a hiker strides along a stony path|shoes crunching pebbles|a jogger on loose stones",
    ),
    "footsteps_wood": _words(
        "footsteps on a wooden floor|walking on wood|someone walks across floorboards|shoes on a wooden floor|steps on planks|a person walks down a hallway",
        "boots thudding along a boardwalk|heels on parquet|hollow footfalls in a corridor",
    ),
    "footsteps_snow": _words(
        "footsteps in snow|walking in snow|snow crunches underfoot|someone walks through fresh snow|steps on frozen snow|trudging through snow",
        "boots squeaking on a snowy trail|a winter walk in deep snow|trampling powdery snow",
    ),
    "typing": _words(
        "typing on a keyboard|someone types|fingers on a computer keyboard|keyboard typing|fast typing|writing on a laptop",
        "clacking keys of an office worker|a programmer hammering at a keyboard|key presses on a desktop computer",
    ),
    "hand_claps": _words(
        "hands clapping|a person claps|clapping hands|someone claps a rhythm|hand claps|a single clap",
        "somebody applauds|palms struck together|slow clapping by one person",
    ),
    "dog_bark": _words(
        "a dog barks|dog barking|a barking dog|a dog barks several times|a big dog barks|a small dog yaps",
        "a hound woofs at a stranger|a puppy yelping|an angry guard dog",
    ),
    "bird_chirp": _words(
        "a bird chirps|birds singing|bird song|a small bird tweets|a chirping bird on a branch|a songbird sings",
        "a robin twittering in a tree|a sparrow's tweets|a warbling canary",
    ),
    "bell": _words(
        "a bell rings|church bell ringing|a swinging bell|a bell tolls|ringing bell|a hand bell rings",
        "the toll of a tower bell|chimes from a belfry|a brass bell being rung",
    ),
    "gong": _words(
        "a gong is struck|gong hit|a mallet strikes a gong|a large gong sounds|deep gong|striking a temple gong",
        "a tam-tam resonates after a blow|the long low ring of a gong|a monk beats a bronze gong",
    ),
    "knife_chop": _words(
        "chopping vegetables|a knife chops on a cutting board|cutting vegetables|chopping food with a knife|a cook chops carrots|slicing on a board",
        "a chef dicing onions|quick knife taps on a wooden board|mincing herbs in the kitchen",
    ),
    "axe_chop": _words(
        "chopping wood with an axe|an axe splits a log|splitting firewood|an axe hits wood|a lumberjack chops wood|axe blows",
        "cleaving logs for the stove|a woodcutter swinging an axe|heavy chops into a tree trunk",
    ),
    "door_knock": _words(
        "knocking on a door|someone knocks|a fist knocks on a wooden door|door knock|knock knock|a hand raps on a door",
        "a visitor rapping at the entrance|knuckles against a door panel|three knocks at the front door",
    ),
    "door_slam": _words(
        "a door slams|door slam|a door slams shut|someone slams the door|a door bangs closed|closing a door hard",
        "the bang of a heavy door being shut|a wooden door thrown closed|a door blown shut",
    ),
    "clock_tick": _words(
        "a clock ticks|ticking clock|a pendulum clock|the second hand of a clock ticks|clock ticking on the wall|tick tock",
        "an old grandfather clock in the hall|steady ticks of a wall timepiece|a wristwatch counting seconds",
    ),
    "metronome": _words(
        "a metronome beats|metronome ticking|a metronome clicks in time|steady metronome|a mechanical metronome|clicks of a metronome",
        "a wooden tempo keeper swinging|a pianist's metronome marking time|even clicks of a pendulum beat counter",
    ),
    "fireworks": _words(
        "fireworks explode|fireworks in the night sky|a firework bursts|firework show|rockets explode in the sky|colourful fireworks",
        "pyrotechnics on new year's eve|booming shells light up the dark|a skyrocket bursting overhead",
    ),
    "gunshot": _words(
        "a gun is fired|gunshots|a pistol shoots|shooting a handgun|gun shot|a pistol fires several rounds",
        "someone firing a revolver at a range|loud shots from a firearm|a weapon discharges",
    ),
    "dripping": _words(
        "water drips|a dripping tap|water drops fall into a sink|drip drip|a leaking faucet|drops of water",
        "a leaky pipe plinking into a puddle|single droplets hitting water|a tap that will not close",
    ),
    "rain": _words(
        "rain falling|rain on a roof|heavy rain|light rain|rain falling on a tin roof|it is raining|a rain shower",
        "a downpour in the street|drizzle against a window|raindrops pattering on leaves",
    ),
    "sea_waves": _words(
        "sea waves|ocean waves on the beach|waves break on the shore|waves roll in|the surf at the coast|waves crashing",
        "breakers washing over sand|the tide at the seaside|ocean swell hitting a beach",
    ),
    "stream": _words(
        "a stream flows|a small river|water flows over stones|a babbling brook|running water|a creek in the forest",
        "a mountain rivulet gurgling|trickling water between rocks|a gently flowing creek bed",
    ),
    "waterfall": _words(
        "a waterfall|water falls from a cliff|rushing waterfall|a big waterfall roars|water pours down|cascading water",
        "a thundering cataract|a cascade plunging into a pool|roaring falls in a gorge",
    ),
    "fire": _words(
        "a fire crackles|campfire|burning wood|flames in a fireplace|a crackling fire|a bonfire burns",
        "logs burning in the hearth|a blaze with popping embers|flames licking dry branches",
    ),
    "wind": _words(
        "wind in the trees|wind blows|leaves rustle in the wind|strong wind|gusts of wind bend the grass|a windy day",
        "a gale sweeping through branches|breeze rustling a meadow|foliage shaken by a storm",
    ),
    "fan": _words(
        "a fan spins|electric fan|a ventilator runs|a fan blows air|ceiling fan|a rotating fan hums",
        "a desk blower whirring|the hum of a ventilation unit|propeller blades of a cooler turning",
    ),
    "helicopter": _words(
        "a helicopter flies|helicopter rotor|a helicopter hovers|chopper blades|a helicopter in the sky|rotor blades beat the air",
        "a chopper passing overhead|thudding blades of an aircraft|a rescue helicopter in flight",
    ),
    "engine": _words(
        "an engine runs|a motor idles|engine revving|an old engine|a machine with a flywheel runs|a diesel engine",
        "a chugging generator|a tractor motor ticking over|a combustion motor speeding up",
    ),
    "sawing": _words(
        "sawing wood|a hand saw cuts a board|someone saws a plank|cutting wood with a saw|a saw goes back and forth|hand sawing",
        "a joiner cutting timber by hand|strokes of a handsaw through a beam|sawing off a branch",
    ),
    "scrubbing": _words(
        "scrubbing a surface|someone scrubs the floor|a brush scrubs|cleaning with a brush|wiping a table|scrubbing with a sponge",
        "washing a counter with a rag|bristles rubbing on tiles|someone polishing a worktop",
    ),
    "scraping": _words(
        "scraping metal|a scraper scrapes a surface|scraping paint off|scratching with a tool|a blade scrapes|scraping ice off a windshield",
        "a spatula scratching a pan|removing rust with a putty knife|harsh scratching on a hard plate",
    ),
    "bowed_strings": _words(
        "a cello is played|playing the violin|a bow on strings|someone plays the cello|violin music|a bowed string instrument",
        "a fiddler draws the bow|long notes on a viola|a string player performs",
    ),
    "glass_break": _words(
        "glass breaks|a glass shatters on the floor|breaking glass|a bottle falls and breaks|shattering glass|a vase falls and breaks",
        "a dropped tumbler smashing to pieces|crockery bursting on tiles|a windowpane smashed",
    ),
    "thud": _words(
        "something falls with a thud|a box drops on the floor|a heavy object falls|a book falls down|a thud|something is dropped",
        "a parcel hits the ground|a dull thump of a dropped bag|a suitcase toppling over",
    ),
    "camera_shutter": _words(
        "a camera takes a picture|camera shutter click|taking photos|a photographer presses the shutter|a camera clicks|flash photography",
        "snapshots with a reflex camera|the snap of a shutter with flash|paparazzi shooting photos",
    ),
    "quiet_room": _words(
        "a quiet room|silence|nothing happens|room tone|a still picture|an empty room",
        "hushed interior|no sound at all|complete stillness indoors",
    ),
    "calm_outdoors": _words(
        "a calm landscape|quiet outdoors|soft air outside|a peaceful scene, nothing happens|still air|quiet countryside",
        "a tranquil view with hardly a sound|a windless field|an uneventful outdoor shot",
    ),
}
