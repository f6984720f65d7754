# Into PREFIX (/usr/local), under DESTDIR: the program, its man page, the unit for systemd, and a configuration where there
# is none yet. The model server and the model go along if they were built and fetched: `make all model` first.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
DATADIR    ?= $(PREFIX)/share
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc
INSTALL    ?= install

installed_config := $(DESTDIR)$(SYSCONFDIR)/lastword/lastword.yaml
installed_unit   := $(DESTDIR)$(UNITDIR)/lastword.service
# What was built beside the gateway.
installed_model  := $(wildcard $B/lastword-model)
installed_gguf   := $(if $(installed_model),$(wildcard build/models/*.gguf))

.PHONY: install uninstall
install: $B/lastword $B/lastword.1 ## into PREFIX=/usr/local: programs, man page, systemd unit, model (DESTDIR= for packages)
	$(INSTALL) -D -m 755 $B/lastword $(DESTDIR)$(BINDIR)/lastword
	$(INSTALL) -D -m 644 $B/lastword.1 $(DESTDIR)$(DATADIR)/man/man1/lastword.1
	$(if $(installed_model),$(INSTALL) -D -m 755 $(installed_model) $(DESTDIR)$(BINDIR)/lastword-model)
	$(if $(installed_gguf),$(INSTALL) -D -m 644 -t $(DESTDIR)$(DATADIR)/lastword $(installed_gguf))
	$(INSTALL) -d $(dir $(installed_unit))
	sed 's|@bindir@|$(BINDIR)|; s|@sysconfdir@|$(SYSCONFDIR)|' examples/systemd/lastword.service.in > $(installed_unit)
	[ -e $(installed_config) ] || $(INSTALL) -D -m 644 examples/systemd/lastword.yaml $(installed_config)

uninstall: ## what `make install` put there, but for the configuration
	rm -f $(DESTDIR)$(BINDIR)/lastword $(DESTDIR)$(BINDIR)/lastword-model $(DESTDIR)$(DATADIR)/man/man1/lastword.1 $(installed_unit)
	rm -rf $(DESTDIR)$(DATADIR)/lastword
