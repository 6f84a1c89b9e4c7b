/* help.c: help texts, shell completion and the man page, all from the tables of commands and
 * options. */
#include <string.h>

#include "cli/cli.h"

static const char exit_codes[] =
    "0 done; 1 failed; 2 wrong command line; 3 wrong input (file, recipe, shape, label); 4 reading "
    "or writing failed; 5 too little memory; 6 the loss became NaN or Inf; 130 stopped by a "
    "signal, "
    "after saving";

void cli_help(FILE *out)
{
    fprintf(out, "soma %s: train, evaluate and use neural networks\n\n", soma_version());
    fprintf(out, "usage: soma COMMAND [arguments] [options]\n\ncommands:\n");
    for (int i = 0; i < cli_command_count; i++)
        fprintf(out, "  %-11s %s\n", cli_commands[i].name, cli_commands[i].summary);
    fprintf(out,
            "\nsoma COMMAND --help tells more, with examples. soma --version prints the "
            "version.\nExit codes: %s.\n",
            exit_codes);
}

static void print_option(const option *o, void *user)
{
    char left[64], letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    fprintf(user, "  %-24s %s\n", left, o->doc);
}

/* Calls fn(user, command, meaning) for each example line. */
static void each_example(const char *examples,
                         void (*fn)(FILE *, int, const char *, int, const char *), FILE *out)
{
    while (*examples) {
        const char *tab = strchr(examples, '\t'), *end = strchr(examples, '\n');
        fn(out, (int)(tab - examples), examples, (int)(end - tab - 1), tab + 1);
        examples = end + 1;
    }
}

static void print_example(FILE *out, int n, const char *text, int m, const char *meaning)
{
    fprintf(out, "  %.*s\n      %.*s\n", n, text, m, meaning);
}

void cli_help_command(FILE *out, const command *c)
{
    fprintf(out, "soma %s: %s\n\nusage: soma %s %s\n\n%s\n\noptions:\n", c->name, c->summary,
            c->name, c->usage, c->details);
    cli_each(c->options, print_option, out);
    cli_each(cli_common_options, print_option, out);
    fprintf(out, "\nexamples:\n");
    each_example(c->examples, print_example, out);
}

/* --- completion ----------------------------------------------------------------------------------
 */

static void print_long(const option *o, void *user)
{
    fprintf(user, " --%s", o->name);
}

int cli_run_completion(const arguments *args)
{
    FILE *out = stdout;
    if (args->positional_count && strcmp(args->positional[0], "bash") != 0) {
        fprintf(stderr, "soma completion: knows bash only, not '%s'\n", args->positional[0]);
        return EXIT_CODE_USAGE;
    }
    fprintf(out, "# bash completion of soma\n_soma()\n{\n");
    fprintf(out, "    local word=${COMP_WORDS[COMP_CWORD]} words\n");
    fprintf(out, "    if [ \"$COMP_CWORD\" = 1 ]; then\n        words=\"--help --version");
    for (int i = 0; i < cli_command_count; i++)
        fprintf(out, " %s", cli_commands[i].name);
    fprintf(out, "\"\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (int i = 0; i < cli_command_count; i++) {
        const command *c = &cli_commands[i];
        fprintf(out, "        %s) words=\"", c->name);
        if (strncmp(c->usage, "RECIPE", 6) == 0 || strstr(c->usage, "|RECIPE"))
            for (int k = 0; soma_recipe_builtin(k); k++)
                fprintf(out, "%s ", soma_recipe_builtin(k));
        cli_each(c->options, print_long, out);
        cli_each(cli_common_options, print_long, out);
        fprintf(out, "\" ;;\n");
    }
    fprintf(out, "        esac\n    fi\n");
    fprintf(out, "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\"; "
                 "[ \"$COMP_CWORD\" = 1 ] || compgen -f -- \"$word\")\n}\n");
    fprintf(out, "complete -o filenames -F _soma soma\n");
    return EXIT_CODE_OK;
}

/* --- the man page
 * --------------------------------------------------------------------------------- */

/* Text for troff: a dash is a dash, a backslash is doubled, a dot in front does not command. */
static void roff(FILE *out, const char *text, int length)
{
    if (length && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", out);
    for (int i = 0; i < length; i++) {
        if (text[i] == '-')
            fputs("\\-", out);
        else if (text[i] == '\\')
            fputs("\\e", out);
        else
            fputc(text[i], out);
    }
}

static void roff_text(FILE *out, const char *text)
{
    roff(out, text, (int)strlen(text));
}

static void roff_option(const option *o, void *user)
{
    FILE *out = user;
    fprintf(out, ".TP\n.B ");
    if (o->letter)
        fprintf(out, "\\-%c, ", o->letter);
    fprintf(out, "\\-\\-");
    roff_text(out, o->name);
    if (o->argument)
        fprintf(out, " \\fI%s\\fR", o->argument);
    fprintf(out, "\n");
    roff_text(out, o->doc);
    fprintf(out, "\n");
}

static void roff_example(FILE *out, int n, const char *text, int m, const char *meaning)
{
    fprintf(out, ".TP\n.B ");
    roff(out, text, n);
    fprintf(out, "\n");
    roff(out, meaning, m);
    fprintf(out, "\n");
}

int cli_run_man(const arguments *args)
{
    (void)args;
    FILE *out = stdout;
    fprintf(out, ".TH SOMA 1 \"\" \"soma %s\" \"User Commands\"\n", soma_version());
    fprintf(out, ".SH NAME\nsoma \\- train, evaluate and use neural networks\n");
    fprintf(out, ".SH SYNOPSIS\n.B soma\n.I command\n[\\fIarguments\\fR] [\\fIoptions\\fR]\n");
    fprintf(out, ".SH COMMANDS\n");
    for (int i = 0; i < cli_command_count; i++) {
        const command *c = &cli_commands[i];
        fprintf(out, ".SS soma %s ", c->name);
        roff_text(out, c->usage);
        fprintf(out, "\n");
        roff_text(out, c->details);
        fprintf(out, "\n");
        cli_each(c->options, roff_option, out);
    }
    fprintf(out, ".SH OPTIONS OF ALL COMMANDS\n");
    cli_each(cli_common_options, roff_option, out);
    fprintf(out, ".SH EXIT STATUS\n");
    roff_text(out, exit_codes);
    fprintf(out, ".\n.SH ENVIRONMENT\n");
    fprintf(out, ".TP\n.B SOMA_DATA\nfolder to look for data sets in\n");
    fprintf(out, ".TP\n.B SOMA_THREADS\nthreads to compute with\n");
    fprintf(out, ".TP\n.B SOMA_ISA\ninstruction set to compute with\n");
    fprintf(out, ".TP\n.B SOMA_WINOGRAD\n0: convolutions by their definition only\n");
    fprintf(out, ".SH EXAMPLES\n");
    for (int i = 0; i < cli_command_count; i++)
        each_example(cli_commands[i].examples, roff_example, out);
    return EXIT_CODE_OK;
}
