-- What was updated goes into the rows themselves: until then the old values are on the disk, where nobody reads them.
ALTER TABLE {table:Identifier} APPLY PATCHES
