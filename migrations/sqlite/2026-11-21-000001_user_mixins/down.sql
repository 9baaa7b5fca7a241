DROP TABLE tombstones;
DROP TABLE user_mixins;
