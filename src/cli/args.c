/* args.c: the options of all commands, once, and the reading of a command line. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define AT(member_) offsetof(arguments, member_)
static const option options[] = {
    {"help", 'h', OPTION_FLAG, NULL, AT(help), 0, "print this help"},
    {"json", 0, OPTION_FLAG, NULL, AT(json), 0,
     "print one JSON object a line; the last has \"event\":\"done\""},
    {"quiet", 'q', OPTION_FLAG, NULL, AT(quiet), 0, "print results only"},
    {"threads", 't', OPTION_NUMBER, "N", AT(threads), 1,
     "threads to compute with; default: SOMA_THREADS, else the CPUs of this process"},
    {"isa", 0, OPTION_TEXT, "NAME", AT(isa), 0,
     "instruction set: baseline, avx2, avx512, avx512_bf16, reference; default: SOMA_ISA, else the "
     "best"},
    {"data", 'd', OPTION_TEXT, "DIR", AT(data), 0,
     "folder to look for data in, before SOMA_DATA and ./data"},
    {"set", 's', OPTION_LIST, "KEY=VALUE", AT(set), 0,
     "override a key of the recipe, such as train.epochs=5; may be repeated"},
    {"out", 'o', OPTION_TEXT, "PATH", AT(out), 0,
     "where to write: the folder of a run (default: runs/RECIPE), a file, or (of bench) a folder "
     "for "
     "what it computes"},
    {"folds", 0, OPTION_NUMBER, "K", AT(folds), 2,
     "cross-validate: train K times, each time tested on another K-th; nothing is saved"},
    {"seed", 0, OPTION_NUMBER, "N", AT(seed), 0, "seed of weights, split and order"},
    {"epochs", 'e', OPTION_NUMBER, "N", AT(epochs), 1, "short for --set train.epochs=N"},
    {"batch", 'b', OPTION_NUMBER, "N", AT(batch), 1, "samples a step"},
    {"resume", 'r', OPTION_FLAG, NULL, AT(resume), 0,
     "go on from the checkpoint in the run's folder, if there is one"},
    {"force", 'f', OPTION_FLAG, NULL, AT(force), 0,
     "start anew although the run's folder holds a training"},
    {"dry-run", 'n', OPTION_FLAG, NULL, AT(dry_run), 0,
     "print parameters, flops and bytes, and whether they fit; do not train"},
    {"no-check", 0, OPTION_FLAG, NULL, AT(no_check), 0,
     "do not look for mistakes before the first step (soma check)"},
    {"list", 'l', OPTION_FLAG, NULL, AT(list), 0,
     "list the built-in recipes (of check: the checks, of bench: the lines)"},
    {"label", 0, OPTION_TEXT, "COLUMN", AT(label), 0,
     "label column of a CSV file, by name or number; default: the last"},
    {"top", 'k', OPTION_NUMBER, "N", AT(top), 1, "classes to print; default: 3"},
    {"limit", 0, OPTION_NUMBER, "N", AT(limit), 1, "samples to look at; default: all"},
    {"invert", 0, OPTION_FLAG, NULL, AT(invert), 0,
     "turn light and dark around, for dark writing on light paper"},
    {"layers", 0, OPTION_FLAG, NULL, AT(layers), 0, "list the layers of recipes instead"},
    {"transforms", 0, OPTION_FLAG, NULL, AT(transforms), 0,
     "list the transforms of recipes instead"},
    {"optimizers", 0, OPTION_FLAG, NULL, AT(optimizers), 0, "list the optimizers instead"},
    {"schedules", 0, OPTION_FLAG, NULL, AT(schedules), 0, "list the schedules of rates instead"},
    {"losses", 0, OPTION_FLAG, NULL, AT(losses), 0, "list the losses of recipes instead"},
    {"train", 0, OPTION_FLAG, NULL, AT(train), 0,
     "the training step (forward, backward, update) instead of inference"},
    {"runs", 0, OPTION_NUMBER, "N", AT(runs), 1,
     "runs to take the median of; default: 20 (of bench: half a second)"},
    {"layer", 0, OPTION_TEXT, "NAME", AT(layer), 0, "the layer whose outputs are looked at"},
    {"clusters", 0, OPTION_NUMBER, "K", AT(clusters), 1,
     "clusters; default: as many as there are classes"},
    {"rate", 0, OPTION_FLAG, NULL, AT(rate), 0, "look for a fitting learning rate"},
    {"overfit", 0, OPTION_FLAG, NULL, AT(overfit), 0, "learn one batch by heart"},
    {"gradients", 0, OPTION_FLAG, NULL, AT(gradients), 0,
     "sizes of weights and gradients; names those that vanish or explode"},
    {"steps", 0, OPTION_NUMBER, "N", AT(steps), 2,
     "steps of a probe; default: 100 for the rate, 200 for the batch"},
    {"plot", 0, OPTION_TEXT, "FILE", AT(plot), 0, "draw the rate's curve: .svg or .png"},
    {"url", 0, OPTION_TEXT, "URL", AT(url), 0,
     "folder to fetch files from, in place of those that are known"},
    {"sheet", 0, OPTION_TEXT, "FILE", AT(sheet), 0, "write sample pictures of each class as a PNG"},
    {"kind", 0, OPTION_TEXT, "NAME", AT(kind), 0,
     "tokeniser to train: word, char, byte or bpe; default: bpe"},
    {"size", 0, OPTION_NUMBER, "N", AT(size), 1,
     "most tokens of a vocabulary, special ones included; default: 30000"},
    {"min-count", 0, OPTION_NUMBER, "N", AT(min_count), 1,
     "leave out what occurs less often; default: 1, of bpe 2"},
    {"lowercase", 0, OPTION_FLAG, NULL, AT(lowercase), 0, "turn text into lower case first"},
    {"nfc", 0, OPTION_FLAG, NULL, AT(nfc), 0, "compose characters (Unicode NFC) first"},
    {"by", 0, OPTION_TEXT, "WHAT", AT(by), 0,
     "add steps up by kernel, op or name, longest first; default: step"},
    {"trace", 0, OPTION_TEXT, "FILE", AT(trace), 0,
     "write the runs as JSON for chrome://tracing or Perfetto"},
    {"prompt", 'p', OPTION_TEXT, "TEXT", AT(prompt), 0, "what the text begins with"},
    {"tokens", 0, OPTION_NUMBER, "N", AT(tokens), 1,
     "most tokens to make; default: as many as the context has room for"},
    {"temperature", 0, OPTION_REAL, "X", AT(temperature), 0,
     "above 1 flatter, below 1 sharper chances; 0: always the likeliest token; default: 1"},
    {"top-k", 0, OPTION_NUMBER, "N", AT(top_k), 0, "draw from the N likeliest tokens; 0: from all"},
    {"top-p", 0, OPTION_REAL, "X", AT(top_p), 0,
     "draw from the fewest likeliest tokens that have the share X; default: 1"},
    {"min-p", 0, OPTION_REAL, "X", AT(min_p), 0,
     "draw from tokens with at least X times the chance of the likeliest; default: 0"},
    {"repetition-penalty", 0, OPTION_REAL, "X", AT(repetition_penalty), 0,
     "above 1: tokens that were there become less likely; default: 1"},
    {"beam", 0, OPTION_NUMBER, "N", AT(beam), 1,
     "the likeliest text that a search over N beams finds, in place of drawing"},
    {"length-penalty", 0, OPTION_REAL, "X", AT(length_penalty), 0,
     "of beams: log p is divided by length^X; default: 0"},
    {"dot", 0, OPTION_TEXT, "FILE", AT(dot), 0, "write the plan as a Graphviz picture"},
};
#define OPTION_COUNT (sizeof options / sizeof options[0])

const char cli_common_options[] = "json quiet threads isa help";

const option *cli_option(const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

void cli_each(const char *names, void (*fn)(const option *option, void *user), void *user)
{
    while (*names) {
        size_t length = strcspn(names, " ");
        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (strlen(options[i].name) == length && memcmp(options[i].name, names, length) == 0)
                fn(&options[i], user);
        names += length;
        names += strspn(names, " ");
    }
}

/* Collects what a command takes, to look up an option that the user gave. */
typedef struct lookup {
    const char *name; /* long name, length below; NULL: by letter */
    size_t length;
    char letter;
    const option *found;
    const char *names[OPTION_COUNT];
    size_t count;
} lookup;

static void look(const option *o, void *user)
{
    lookup *l = user;
    l->names[l->count++] = o->name;
    if (l->name ? strlen(o->name) == l->length && memcmp(o->name, l->name, l->length) == 0
                : o->letter == l->letter)
        l->found = o;
}

static const option *find(const command *cmd, lookup *l)
{
    cli_each(cmd->options, look, l);
    cli_each(cli_common_options, look, l);
    return l->found;
}

static bool unknown(const command *cmd, const char *text, const lookup *l)
{
    char name[64] = "";
    if (l->name)
        snprintf(name, sizeof name, "%.*s", (int)l->length, l->name);
    const char *near = *name ? soma__nearest(name, l->names, l->count) : NULL;
    fprintf(stderr, "soma %s: unknown option '%s'%s%s%s; see soma %s --help\n", cmd->name, text,
            near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "", cmd->name);
    return false;
}

static bool store_real(const command *cmd, const option *o, const char *value, arguments *args)
{
    double number;
    if (!soma__parse_float(value, &number) || !(number >= (double)o->min)) {
        fprintf(stderr, "soma %s: --%s takes a number of at least %lld, not '%s'\n", cmd->name,
                o->name, (long long)o->min, value);
        return false;
    }
    *(double *)(void *)((char *)args + o->offset) = number;
    if (o->offset == AT(temperature))
        args->temperature_given = true;
    return true;
}

static bool store(const command *cmd, const option *o, const char *value, arguments *args)
{
    char *at = (char *)args + o->offset;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return true;
    case OPTION_TEXT:
        *(const char **)(void *)at = value;
        return true;
    case OPTION_LIST:
        if (args->set_count == SOMA__CLI_MAX_ARGUMENTS) {
            fprintf(stderr, "soma %s: too many --%s\n", cmd->name, o->name);
            return false;
        }
        args->set[args->set_count++] = value;
        return true;
    case OPTION_REAL:
        return store_real(cmd, o, value, args);
    case OPTION_NUMBER:
        break;
    }
    int64_t number;
    if (!soma__parse_int(value, &number) || number < o->min) {
        fprintf(stderr, "soma %s: --%s takes a whole number of at least %lld, not '%s'\n",
                cmd->name, o->name, (long long)o->min, value);
        return false;
    }
    *(int64_t *)(void *)at = number;
    if (o->offset == AT(seed))
        args->seed_given = true;
    return true;
}

/* One option at argv[*i], in any of the forms --name value, --name=value, -n value. */
static bool parse_option(const command *cmd, int argc, char **argv, int *i, arguments *args)
{
    const char *text = argv[*i], *value = NULL;
    lookup l = {0};
    if (text[1] == '-') {
        const char *equals = strchr(text, '=');
        l.name = text + 2;
        l.length = equals ? (size_t)(equals - l.name) : strlen(l.name);
        value = equals ? equals + 1 : NULL;
    } else {
        l.letter = text[1];
        value = text[2] ? text + 2 : NULL;
    }
    const option *o = find(cmd, &l);
    if (!o)
        return unknown(cmd, text, &l);
    if (o->kind == OPTION_FLAG && value) {
        fprintf(stderr, "soma %s: --%s takes no value\n", cmd->name, o->name);
        return false;
    }
    if (o->kind != OPTION_FLAG && !value) {
        if (*i + 1 >= argc) {
            fprintf(stderr, "soma %s: --%s needs a value: --%s %s\n", cmd->name, o->name, o->name,
                    o->argument);
            return false;
        }
        value = argv[++*i];
    }
    return store(cmd, o, value, args);
}

bool cli_parse(const command *cmd, int argc, char **argv, arguments *args)
{
    *args = (arguments){0};
    bool only_positional = false;
    for (int i = 0; i < argc; i++) {
        const char *text = argv[i];
        if (!only_positional && strcmp(text, "--") == 0) {
            only_positional = true;
        } else if (!only_positional && text[0] == '-' && text[1]) {
            if (!parse_option(cmd, argc, argv, &i, args))
                return false;
        } else if (args->positional_count == SOMA__CLI_MAX_ARGUMENTS) {
            fprintf(stderr, "soma %s: too many arguments\n", cmd->name);
            return false;
        } else {
            args->positional[args->positional_count++] = text;
        }
    }
    int n = args->positional_count;
    if (!args->help && !args->list && (n < cmd->min_positional || n > cmd->max_positional)) {
        fprintf(stderr, "usage: soma %s %s\nsee soma %s --help\n", cmd->name, cmd->usage,
                cmd->name);
        return false;
    }
    return true;
}
