#!/bin/sh
# A repository: commits, branches, a merge, garbage collection.
set -e
export PATH=/usr/sbin:/usr/bin HOME=/root
git config --global user.email tests@example.org
git config --global user.name tests
cd /src
git init -q .
git add .
git commit -q -m first
for n in $(seq 6); do
	git checkout -q -b "side$n"
	echo "/* $n */" >> "f$n.c"
	git rm -q "f$((n + 6)).c" 2>/dev/null || true
	git commit -q -a -m "change $n"
	git checkout -q -
done
git merge -q side6 side5 || git merge --abort || git reset -q --hard
git gc -q
git status > /dev/null
git clone -q /src /srv/clone
git checkout -q side3
git stash list
git branch -q -D side1
git -c gc.pruneExpire=now gc -q
