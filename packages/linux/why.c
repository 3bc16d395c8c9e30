// Says what became of symbols and why, for the script `asked`: the kernel's own reader of Kconfig, with this in place of its conf.c.
// Reads lines `SYMBOL<TAB>VALUE<TAB>...` of what is asked for; writes `SYMBOL<TAB>VALUE<TAB>REASON` with what it is, and why it is not what was asked for.
// usage: why KCONFIG <ASKED >FACTS (as `make whyconfig`, which sets what Kconfig files read from the environment)
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "lkc.h"

static struct gstr reason;

static void clause(const char *text)
{
	if (*str_get(&reason))
		str_append(&reason, ", and ");
	str_append(&reason, text);
}

// Writes each part of a condition that is below `wanted`: `it depends on BLK_DEV_DM, which is n`, or as Kconfig writes what is more than a
// symbol.
static void unmet(const struct expr *e, tristate wanted, const char *what)
{
	struct gstr text = str_new();

	if (!e || expr_calc_value((struct expr *)e) >= wanted)
		return;
	if (e->type == E_AND) {
		unmet(e->left.expr, wanted, what);
		unmet(e->right.expr, wanted, what);
		return;
	}
	if (!*str_get(&reason))
		str_append(&text, what);
	str_append(&text, *str_get(&reason) ? "on " : " on ");
	if (e->type == E_SYMBOL && e->left.sym->name)
		str_printf(&text, "%s, which is %s", e->left.sym->name,
			   sym_get_string_value(e->left.sym));
	else
		expr_gstr_print(e, &text);
	clause(str_get(&text));
	str_free(&text);
}

// Of a choice one symbol is y.
static void chosen(struct symbol *sym)
{
	struct menu *choice = sym_get_choice_menu(sym);
	struct symbol *taken = choice ? sym_calc_choice(choice) : NULL;
	struct gstr text = str_new();

	if (!taken || taken == sym)
		return;
	str_printf(&text, "%s was chosen in its place", taken->name);
	clause(str_get(&text));
	str_free(&text);
}

static void selected(struct symbol *sym, const char *why)
{
	struct gstr text = str_new();
	char *line;

	if (!sym->rev_dep.expr)
		return;
	expr_gstr_print_revdep(sym->rev_dep.expr, &text, yes, "");
	expr_gstr_print_revdep(sym->rev_dep.expr, &text, mod, "");
	if (!*str_get(&text))
		expr_gstr_print_revdep(sym->rev_dep.expr, &text, no, "");
	// Lines `  - A [=y] && B [=y]`: the first is enough to look further.
	line = strstr(str_get(&text), "- ");
	if (line) {
		line[strcspn(line, "\n")] = 0;
		clause(why);
		str_append(&reason, line + 2);
	}
	str_free(&text);
}

static void explain(struct symbol *sym, const char *asked)
{
	tristate wanted = !strcmp(asked, "y") ? yes : !strcmp(asked, "m") ? mod : no;
	bool is_switch = sym->type == S_BOOLEAN || sym->type == S_TRISTATE;
	struct property *prompt, *range;
	bool has_prompt = false;

	if (is_switch && sym->type == S_BOOLEAN && wanted == mod)
		return clause("it can be no module");
	if (is_switch && wanted < sym_get_tristate_value(sym)) {
		selected(sym, "it is selected by ");
		if (*str_get(&reason))
			return;
		for_all_prompts(sym, prompt) {
			has_prompt = true;
			unmet(prompt->visible.expr, yes, "that it can be off depends");
		}
		return has_prompt ? (void)0 : clause("nobody is asked about it");
	}
	for_all_prompts(sym, prompt) {
		has_prompt = true;
		unmet(prompt->visible.expr, is_switch ? wanted : yes, "it depends");
	}
	if (!has_prompt) {
		unmet(sym->dir_dep.expr, is_switch ? wanted : yes, "it depends");
		clause("nobody is asked about it");
		return selected(sym, "it is on with ");
	}
	chosen(sym);
	range = sym_get_range_prop(sym);
	if (range && !*str_get(&reason)) {
		clause("its range is ");
		expr_gstr_print(range->expr, &reason);
	}
}

int main(int argc, char **argv)
{
	char line[4096];

	if (argc < 2)
		return 2;
	conf_parse(argv[argc - 1]);
	if (conf_read(NULL))
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		char *rest = line, *name = strsep(&rest, "\t\n"), *asked = strsep(&rest, "\t\n");
		struct symbol *sym = sym_find(name);

		if (!asked)
			continue;
		reason = str_new();
		if (sym)
			sym_calc_value(sym);
		if (!sym || sym->type == S_UNKNOWN) {
			printf("%s\tn\tthis kernel has no such symbol\n", name);
			continue;
		}
		if (strcmp(asked, sym_get_string_value(sym)))
			explain(sym, asked);
		printf("%s\t%s\t%s\n", name, sym_get_string_value(sym), str_get(&reason));
		str_free(&reason);
	}
	return 0;
}
